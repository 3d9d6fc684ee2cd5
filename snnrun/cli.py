"""The command `snnrun`: verbs, and how a command ends.

Nothing heavy is imported here: a verb's module is imported when the verb is used, and torch only after the
configuration has been checked.
"""

import importlib
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from snnrun import __version__
from snnrun.errors import Interrupted, SnnrunError, UserError
from snnrun.registry import did_you_mean

INTERRUPTED = 130  # 128 + SIGINT, as a shell counts


@dataclass(frozen=True)
class Verb:
    """A verb: a line for the help, and the module with its `main(arguments) -> exit code`."""

    help: str
    module: str


VERBS = {
    "train": Verb("train a network, or a whole sweep with -m", "snnrun.commands.train"),
    "eval": Verb("judge trained networks again, on changed data too", "snnrun.commands.eval"),
    "landscape": Verb("the loss around a trained solution, with spikes and smoothed", "snnrun.commands.landscape"),
    "data": Verb("list and make data sets", "snnrun.commands.data"),
    "ls": Verb("list the runs, all or those with some key", "snnrun.commands.ls"),
    "show": Verb("show a run: results, configuration, learning curve", "snnrun.commands.show"),
    "report": Verb("tables and figures over many runs", "snnrun.commands.report"),
    "reproduce": Verb("redo the lecture and its papers, and write RESULTS.md", "snnrun.commands.reproduce"),
    "board": Verb("open TensorBoard on the runs", "snnrun.commands.board"),
    "bench": Verb("time one training step with each engine", "snnrun.commands.bench"),
    "completion": Verb("print the tab completion for bash or zsh", "snnrun.commands.completion"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line (default: that of the process) and return the exit code.

    0 is success, 2 bad input, 1 a failure while running, 130 and 143 stopped by SIGINT and SIGTERM. Errors are one line
    on stderr.
    """
    try:
        return _dispatch(list(sys.argv[1:] if arguments is None else arguments))
    except SnnrunError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except Interrupted as stop:
        print(stop, file=sys.stderr)
        return stop.exit_code
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of our output has gone (`snnrun --help | head -1`); what is buffered has nowhere to go.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def help_text() -> str:
    """Return the text of `snnrun --help`."""
    verbs = "\n".join(f"  {name:<12}{verb.help}" for name, verb in VERBS.items())
    return (
        "usage: snnrun VERB ...\n\n"
        "Train spiking neural networks with surrogate gradients.\n\n"
        f"verbs:\n{verbs}\n\n"
        "`snnrun VERB --help` tells more about a verb.\n"
        "options:\n  -h, --help  this text\n  --version   the version\n\n"
        "example: snnrun train surrogate=sigmoid beta=5"
    )


def _dispatch(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help"):
        print(help_text())
        return 0
    if arguments[0] == "--version":
        print(f"snnrun {__version__}")
        return 0
    verb, *rest = arguments
    if verb not in VERBS:
        raise UserError(f"{verb}: no such verb{did_you_mean(verb, VERBS)}; verbs are {', '.join(VERBS)}")
    result: int = importlib.import_module(VERBS[verb].module).main(rest)
    return result
