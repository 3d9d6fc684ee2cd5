"""`snnrun landscape`: the loss around a trained solution, with spikes and smoothed."""

from collections.abc import Sequence
from pathlib import Path

from snnrun.commands.line import HELP, shown_path, split
from snnrun.errors import UserError
from snnrun.registry import did_you_mean

# Key: default, smallest value, what it is. A default with a point allows fractions.
SIZES: dict[str, tuple[float, float, str]] = {
    "points": (101, 3, "points on a line"),
    "span": (1.0, 1e-9, "largest distance from the solution, as a share of each neuron's weights"),
    "plane": (15, 0, "points a side of the plane; 0 is no plane"),
    "samples": (16, 1, "samples whose mean loss it is; each adds steps of its own"),
    "seed": (0, 0, "of samples and directions"),
}
PART = {"part": "train (default), valid or test data"}
PARTS = ("train", "valid", "test")


def main(arguments: Sequence[str]) -> int:
    """Run `snnrun landscape` with the words after the verb; returns the exit code."""
    line = split(arguments, (HELP,))
    if "--help" in line.flags or not line.words:
        print(landscape_help())
        return 0
    folders = [word for word in line.words if "=" not in word or Path(word).exists()]
    sizes, part = _settings([word for word in line.words if word not in folders])
    if len(folders) != 1:
        raise UserError(f"landscape {' '.join(line.words)}: takes one run folder")
    from snnrun.run_folder import RunFolder

    path = RunFolder.open(folders[0]).path
    from snnrun.threads import importing_torch

    with importing_torch("auto", "bptt"):
        from snnrun.evaluation.surroundings import look_around  # not before the line stands: it imports torch

    print(shown_path(look_around(path, part, sizes).absolute()))
    return 0


def landscape_help() -> str:
    """Return the text of `snnrun landscape --help`."""
    rows = {f"{name}={default:g}": text for name, (default, _, text) in SIZES.items()}
    keys = "\n".join(f"  {key:<12}{text}" for key, text in {**rows, "part=train": PART["part"]}.items())
    return (
        "usage: snnrun landscape RUN [KEY=VALUE ...]\n\n"
        "Compute the loss along a line, and over a plane, through the trained weights of a run's hidden layers: with\n"
        "spikes, where it has steps, and with the smoothed function in their place, where it has none. Directions are\n"
        "random, and scaled to the weights of each neuron (Li et al. 2018).\n"
        "RUN/landscape/<date>_<time>_<id>/ gets line.csv, near.csv and plane.csv, with line.png and plane.png, and\n"
        "landscape.json.\n\n"
        f"keys:\n{keys}\n\n"
        "example: snnrun landscape outputs/train/2026-01-31_12-00-00_abc123 span=0.5"
    )


def _settings(words: Sequence[str]) -> tuple[dict[str, float], str]:
    sizes, part = {name: default for name, (default, _, _) in SIZES.items()}, PARTS[0]
    known = (*SIZES, *PART)
    for word in words:
        key, _, value = word.partition("=")
        if key not in known:
            raise UserError(f"landscape {word}: no such key{did_you_mean(key, known)}; keys are {', '.join(known)}")
        if key in PART:
            if value not in PARTS:
                raise UserError(f"landscape {word}: must be one of {', '.join(PARTS)}{did_you_mean(value, PARTS)}")
            part = value
        else:
            sizes[key] = _size(key, value, word)
    return sizes, part


def _size(key: str, value: str, word: str) -> float:
    default, smallest, _ = SIZES[key]
    kind, told = (
        (float, "number above 0") if isinstance(default, float) else (int, f"whole number at least {smallest:g}")
    )
    try:
        number = kind(value)
    except ValueError:
        number = -1
    if not smallest <= number < float("inf"):
        raise UserError(f"landscape {word}: must be a {told}")
    return number
