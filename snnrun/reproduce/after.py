"""What is done with trained networks of a part: judged again at other speeds, and their loss looked at around them."""

from collections.abc import Sequence

from snnrun.report.runs import Run
from snnrun.reproduce.records import judged_at
from snnrun.reproduce.rows import Part
from snnrun.reproduce.sweeps import command


def judge_again(part: Part, runs: Sequence[Run]) -> list[str]:
    """Judge runs at the speeds of the part that they were not judged at yet; returns the commands that failed.

    The time axis is made so long that the slowest of the samples still fits.
    """
    if not part.speeds:
        return []
    left = [run for run in runs if not all(judged_at(run.path, speed) for speed in part.speeds)]
    if not left:
        return []
    duration = float(left[0].config["dataset.duration"]) * max(1, *part.speeds)
    speeds = ",".join(f"{speed:g}" for speed in part.speeds)
    words = ["eval", *(str(run.path) for run in left), f"dataset.speed={speeds}", f"dataset.duration={duration:g}"]
    return [f"snnrun eval ... {' '.join(words[-2:])}"] if command(words) else []


def look_around(part: Part, runs: Sequence[Run]) -> list[str]:
    """Compute the loss around the solutions of a part where that was not done yet; returns the commands that failed."""
    if part.landscape is None:
        return []
    failed = []
    for run in runs:
        if not list(run.path.glob("landscape/*/landscape.json")):
            words = ["landscape", str(run.path), *part.landscape]
            failed += [f"snnrun {' '.join(words)}"] if command(words) else []
    return failed
