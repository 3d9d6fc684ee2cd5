"""Whatever is typed: a configuration or one line, never a traceback."""

from collections.abc import Callable

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from snnrun.config.overrides import parse
from snnrun.config.plan import plan
from snnrun.config.tree import read_tree
from snnrun.errors import UserError

TREE = read_tree()
names = st.sampled_from(
    [*TREE.names(), *TREE.groups, "hydra.run.dir", "hydra", "hydra/launcher", "hydra.job", "nothing", "training", ""]
)
values = st.one_of(
    st.sampled_from(
        [
            "",
            "null",
            "nan",
            "-inf",
            "true",
            "1,2",
            "[1,2]",
            "{a:1}",
            "[[]]",
            "???",
            "${seed}",
            "${a",
            "${oc.env:X}",
            "'",
        ]
        + [
            "range(1,3)",
            "interval(0,1)",
            "glob(*)",
            "sort(3,1)",
            "choice(a)",
            "1e999",
            "é",
            "\ud800",
            "\0",
            "\n",
            "=",
            "~",
        ]
        + [option for options in TREE.groups.values() for option in options]
    ),
    st.integers().map(str),
    st.floats().map(str),
    st.text(max_size=8),
)
lines = st.one_of(
    st.text(max_size=12),
    st.builds("{}{}={}".format, st.sampled_from(["", "", "", "+", "++", "~"]), names, values),
)
quick = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def told(action: Callable[[], object]) -> str:
    """What the user is told if the action refuses its input."""
    try:
        action()
    except UserError as error:
        return str(error)
    return "nothing"


@quick
@given(lines, st.booleans())
def test_reading(line, multirun):
    assert len(told(lambda: parse([line], TREE, multirun)).splitlines()) == 1


@settings(quick, max_examples=60)
@given(st.lists(lines, max_size=3))
def test_planning(overrides):
    assert len(told(lambda: plan(overrides, multirun=False)).splitlines()) == 1


def test_brackets_without_end():
    assert "is not understood" in told(lambda: parse(["network.hidden=" + "[" * 5000], TREE, multirun=False))
