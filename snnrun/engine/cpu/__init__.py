"""The fused CPU engine.

Events come in, so cost follows spikes and not steps or channels. The batch is cut into blocks of samples; a thread runs
a block through all of time. The state of a layer is kept every few steps only; the backward pass runs the chunk between
two such checkpoints forward again and then back, so that memory grows with spikes and not with (batch, time, neuron).
Where a cutoff leaves few neurons active, those are listed in the forward pass and nothing runs forward again.
Spikes are lists of indices. Products with recurrent weights in the backward pass take a block of samples at once.

    engine      the operation: tensors in, tensors out
    scan        a batch cut into blocks, run on threads        blocks      the cut, the threads
    forward, backward                   the loops over time    rows        the loops over neurons, for any model
    adjoint     a layer over a chunk, forward again and back   readout     leaky integrators
    neurons/    step and adjoint of every model                derivatives surrogate derivatives
    products    sums over events, matrix products              late        delayed connections
    simd, simd_late                     vector instructions
    layout      where weights lie in memory                    compile     numba; code_cache: what it made, on disk
"""

from snnrun.engine.cpu.engine import CpuEngine

__all__ = ["CpuEngine"]
