"""The reverse scan of wide recurrent layers: one library product and one kernel a step, as a captured CUDA graph.

The kernel is that of the fused scan, run for one step at a time without its recurrent part.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from snnrun.engine.triton.layer import DeviceLayer, Gradients


def reverse(
    layer: DeviceLayer,
    current: Tensor,
    emitted: Tensor,
    states: Tensor,
    grad_emitted: Tensor,
    gradients: Gradients,
    grad_current: Tensor,
) -> None:
    """Scan backward; see `kernels.scan.reverse_kernel`."""
    assert layer.recurrent is not None
    back, every = layer.recurrent.T.contiguous(), layer.every
    given = (current, emitted, states, grad_emitted)
    drives, spikes, before, grads = (torch.empty_like(x[:every]) for x in given)
    found = layer.empty(every)

    def body(steps: int) -> None:
        for t in reversed(range(steps)):
            one = slice(t, t + 1)
            layer.reverse(drives[one], spikes[one], before[one], grads[one], gradients, found[one])
            if not layer.detach_recurrent:
                gradients.spikes.addmm_(found[t], back)

    run = _Repeated(body, every, layer.device)
    for first in reversed(range(0, len(current), every)):
        steps = min(every, len(current) - first)
        for buffer, source in zip((drives, spikes, before, grads), given, strict=True):
            buffer[:steps] = source[first : first + steps]
        run(steps)
        grad_current[first : first + steps] = found[:steps]


class _Repeated:
    """Runs a body of launches over fixed buffers again and again.

    On CUDA the first full run compiles and warms up, the second is captured, and from then on the graph is replayed:
    one launch in place of `every` times a product and a kernel. Elsewhere it is a plain call.
    """

    def __init__(self, body: Callable[[int], None], every: int, device: torch.device) -> None:
        self.body = body
        self.every = every
        self.device = device
        self.warm = False
        self.graph: torch.cuda.CUDAGraph | None = None

    def __call__(self, steps: int) -> None:
        if self.device.type != "cuda" or steps < self.every or not self.warm:
            self.warm = self.warm or steps == self.every
            self.body(steps)
            return
        if self.graph is None:
            self.graph = torch.cuda.CUDAGraph()
            # The backward pass runs in a thread of autograd while the main thread may touch the device.
            with torch.cuda.graph(self.graph, capture_error_mode="thread_local"):
                self.body(steps)
        self.graph.replay()
