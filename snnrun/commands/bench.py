"""`snnrun bench`: time and memory of one training step, for each engine."""

from collections.abc import Sequence

from snnrun.commands.line import HELP, Flag, split

BENCH_FLAGS = (HELP, Flag("--config-dir", ("-cd",), "a folder with your own options", value="DIR"))


def main(arguments: Sequence[str]) -> int:
    """Run `snnrun bench` with the words after the verb; returns the exit code."""
    line = split(arguments, BENCH_FLAGS)
    if "--help" in line.flags:
        from snnrun.commands.help import bench_help

        print(bench_help(BENCH_FLAGS))
        return 0
    from snnrun.config.compose import compose_as
    from snnrun.config.schema import BenchConfig

    config = compose_as(BenchConfig, "bench", line.words, line.config_dir)
    from snnrun.bench import run  # not before the configuration stands: it imports torch

    run(config)
    return 0
