"""How the work is cut into programs, and whether the recurrent matrix stays on the chip.

The limits come from ahead-of-time builds for sm_80 and sm_90 (tests/engine/test_triton_build.py): the largest matrix
that neither spills registers nor exceeds the shared memory. They were not tuned on a device.
"""

from dataclasses import dataclass

BLOCK_BATCH = 8  # samples of a program: the narrowest tile of the tensor cores, so that there are many programs
FEEDFORWARD_BLOCK = 64  # neurons of a program in a feed-forward layer
KIB = 1024

PRECISIONS = {"float32": "tf32x3", "bfloat16": "tf32"}  # of `tl.dot`; three TF32 products keep nearly all of float32
BYTES = {"float32": 4, "bfloat16": 2}


@dataclass(frozen=True)
class Tiling:
    """Compile-time sizes of a scan kernel.

    Attributes:
        recurrent: "none", "resident" or "streamed": where the recurrent matrix lives, see `kernels.scan`.
        block_neurons: neurons of a program, a power of 2; all of the layer where it is recurrent.
        block_senders: neurons whose spikes are multiplied with the matrix at a time.
        warps: of a program.
    """

    recurrent: str
    block_neurons: int
    block_senders: int
    warps: int = 8

    @property
    def launch(self) -> dict[str, int | bool]:
        """Options of a launch. Products and sums are rounded one by one, as in torch, so that spike trains agree.

        A recurrent scan has one program a processor at most, so the assembler may give it every register; left alone it
        spills a few to make room for a second program.
        """
        options: dict[str, int | bool] = {"num_warps": self.warps, "num_stages": 1, "enable_fp_fusion": False}
        return options if self.recurrent == "none" else options | {"maxnreg": 255}


def choose_tiling(neurons: int, recurrent: bool, products: str, capability: int, held: int) -> Tiling:
    """Return the sizes for one layer.

    Args:
        neurons: of the layer, at most `most_neurons` where it is recurrent.
        recurrent: whether the kernel multiplies with the recurrent matrix.
        products: "float32" or "bfloat16".
        capability: of the device, 80 for sm_80.
        held: for the reverse scan, which needs more registers, states and constants of the neuron; 0 for the forward.
    """
    if not recurrent:
        return Tiling("none", min(FEEDFORWARD_BLOCK, padded(neurons)), 16, warps=4)
    size = padded(neurons)
    most = 64 * KIB if products == "float32" else 128 * KIB  # float32 in three parts holds the matrix twice
    if held:
        registers = 32 if held > 5 else 64 if capability < 90 else 128
        most = min(most, registers * KIB)
    if size * size * BYTES[products] <= most:
        return Tiling("resident", size, min(32, size))
    return Tiling("streamed", size, 16)


def most_neurons(states: int, capability: int) -> int:
    """Neurons of the widest recurrent layer that one launch scans, for the states of its neuron."""
    return 128 if states > 2 and capability < 90 else 256


def padded(neurons: int) -> int:
    """The power of 2 from 16 up that holds so many neurons."""
    return max(16, 1 << (neurons - 1).bit_length())
