"""How the work of a layer is cut into programs.

Tuned on an H100; that neither registers spill nor the shared memory overflows is tested for sm_80 and sm_90.
"""

from dataclasses import dataclass

FEEDFORWARD_BATCH = 8  # samples of a program in a feed-forward layer
FEEDFORWARD_BLOCK = 64  # neurons of it
MOST_NEURONS = 512  # of a recurrent layer whose gradients one launch takes back through its matrix
CROWD = 256  # samples, one a program: two for each multiprocessor of the largest devices


@dataclass(frozen=True)
class Tiling:
    """Compile-time sizes of a scan kernel.

    Attributes:
        recurrent: whether the kernel multiplies with the recurrent matrix, one sample a program then.
        block_batch, block_neurons: samples and neurons of a program, powers of 2; all neurons where it is recurrent.
        block_rows: rows of the matrix that are read at a time.
        warps: of a program.
    """

    recurrent: bool
    block_batch: int
    block_neurons: int
    block_rows: int
    warps: int

    @property
    def launch(self) -> dict[str, int | bool]:
        """Options of a launch. Products and sums are rounded one by one, as in torch, so that spike trains agree.

        There are few programs in a recurrent scan, so each may have more registers than the assembler would give.
        """
        options: dict[str, int | bool] = {"num_warps": self.warps, "num_stages": 1, "enable_fp_fusion": False}
        return options | {"maxnreg": 128} if self.recurrent else options


def choose_tiling(neurons: int, batch: int, recurrent: bool, backward: bool) -> Tiling:
    """Return the sizes for one layer of so many neurons, and whether the kernel multiplies with its matrix."""
    size = padded(neurons)
    if not recurrent:
        return Tiling(False, FEEDFORWARD_BATCH, min(FEEDFORWARD_BLOCK, size), 1, warps=4)
    if not backward:
        return Tiling(True, 1, size, 4, warps=4 if size <= 512 else 8)
    if size <= 128:
        return Tiling(True, 1, size, 8, warps=4)
    if size > 256:
        return Tiling(True, 1, size, 32, warps=16)
    # Programs that share a multiprocessor fill one another's waits; one alone has to fill its own.
    return Tiling(True, 1, size, 16, warps=4) if batch > CROWD else Tiling(True, 1, size, 8, warps=8)


def padded(neurons: int) -> int:
    """The power of 2 from 16 up that holds so many neurons."""
    return max(16, 1 << (neurons - 1).bit_length())


def stride(neurons: int) -> int:
    """Numbers from one row of a recurrent matrix to the next: what lets its rows be read by 16 bytes at a time."""
    return -(-neurons // 16) * 16
