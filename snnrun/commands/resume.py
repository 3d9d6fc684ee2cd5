"""`snnrun train resume=FOLDER`: go on with a run."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from snnrun.commands.line import Line, shown_path
from snnrun.commands.train import RESUME, how_to_resume
from snnrun.errors import UserError
from snnrun.threads import importing_torch

LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"  # that of hydra.job_logging in config.yaml


def resume(line: Line) -> int:
    """Go on with the run that a word `resume=FOLDER` names; the others are overrides. Returns the exit code."""
    folders = [word.removeprefix(RESUME) for word in line.words if word.startswith(RESUME)]
    overrides = [word for word in line.words if not word.startswith(RESUME)]
    if line.flags:
        raise UserError(f"{' and '.join(line.flags)} cannot go with resume=, which goes on with one run as it is")
    if len(folders) > 1 or not folders[0]:
        raise UserError(f"resume={','.join(folders)}: must be the folder of one run, as in resume=outputs/train/...")
    folder = Path(folders[0]).expanduser().absolute()
    _require_run(folder)
    try:
        with _log(folder / "train.log"):
            return _resume(folder, overrides)
    except KeyboardInterrupt:
        print(how_to_resume(folder), file=sys.stderr)
        raise
    finally:
        sys.stderr.flush()
        print(shown_path(folder), flush=True)


def _resume(folder: Path, overrides: list[str]) -> int:
    from snnrun.run_folder import RunFolder
    from snnrun.sweeps.job import tell

    config = RunFolder.open(folder).config()
    learning = config.get("learning")
    rule = learning.get("name", "") if isinstance(learning, dict) else ""
    with importing_torch(str(config.get("engine")), str(rule)):
        from snnrun.train import resume as go_on

    try:
        go_on(folder, overrides)
    except UserError:
        raise
    except Exception as error:
        raise tell(error, folder) from None
    return 0


def _require_run(folder: Path) -> None:
    """Raise UserError unless there is a run in `folder`; tells of those within it."""
    from snnrun.run_folder import RunFolder

    if folder.is_file():
        raise UserError(f"resume={folder} is a file; give the folder of the run")
    inside = sorted(path.parent.name for path in folder.glob("*/config.yaml"))
    if inside and not (folder / "config.yaml").exists():
        raise UserError(f"resume={folder} is no run folder, but holds some: {', '.join(inside[:5])}; give one of them")
    RunFolder.open(folder)


@contextmanager
def _log(path: Path) -> Iterator[None]:
    """Append what is logged to `path`, as Hydra does for a new run; warnings of libraries go to stderr too."""
    root = logging.getLogger()
    level = root.level
    file, console = logging.FileHandler(path, delay=True), logging.StreamHandler()
    file.setFormatter(logging.Formatter(LOG_FORMAT))
    console.setFormatter(logging.Formatter("%(levelname)s: %(message)s"))
    console.setLevel(logging.WARNING)
    handlers: tuple[logging.Handler, ...] = (file, console)
    root.setLevel(logging.INFO)
    for handler in handlers:
        root.addHandler(handler)
    try:
        yield
    finally:
        root.setLevel(level)
        for handler in handlers:
            root.removeHandler(handler)
            handler.close()
