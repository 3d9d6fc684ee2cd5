"""`snnrun board`: TensorBoard on the runs of a folder."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from snnrun.commands.line import HELP, Flag, split
from snnrun.errors import UserError

FLAGS = (
    HELP,
    Flag("--port", ("-p",), "port to serve on (default: 6006, or the next that is free)", value="PORT"),
    Flag("--host", (), "address to serve on (default: localhost, this machine only)", value="HOST"),
)
USAGE = """usage: snnrun board [DIR] [flags]

Open TensorBoard on the runs in and below DIR (default: outputs); end it with Ctrl-C.
On a remote machine: ssh -L 6006:localhost:6006 there, then `snnrun board` and http://localhost:6006 here.

flags:"""


def main(arguments: Sequence[str]) -> int:
    """Replace this process by TensorBoard; returns only for --help."""
    line = split(arguments, FLAGS)
    if "--help" in line.flags:
        print(USAGE)
        for flag in FLAGS:
            print(f"  {flag.usage:<20}{flag.help}")
        return 0
    if len(line.words) > 1:
        raise UserError(f"board {' '.join(line.words)}: takes one folder; their common parent shows the runs of both")
    folder = Path(line.words[0] if line.words else "outputs")
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; `snnrun train` makes runs in outputs")
    if next(folder.rglob("events.out.tfevents.*"), None) is None:
        raise UserError(f"{folder}: there is no run in it that TensorBoard could show")
    port = line.flags.get("--port")
    if port is not None and not (port.isdigit() and 0 < int(port) < 1 << 16):
        raise UserError(f"--port={port}: must be a whole number from 1 to 65535")
    options = [f"--logdir={folder}", f"--host={line.flags.get('--host', 'localhost')}"]
    if port is not None:
        options.append(f"--port={port}")
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", "tensorboard.main", *options])
