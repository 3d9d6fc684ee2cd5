"""RESULTS.md says what results/*.csv say, and what they allow to be said."""

import re
from pathlib import Path

import pytest

from snnrun.commands.reproduce import results_page
from snnrun.reproduce.records import as_csv, read
from snnrun.reproduce.rows import read_rows

ROOT = Path(__file__).parents[2]


@pytest.fixture
def record(tmp_path: Path):
    """Writes results/surrogate_shapes.csv with test accuracies by shape, one a seed, and returns the page's text."""

    def write(**accuracies: list[float]) -> str:
        lines = [
            {"part": "surrogate_shapes", "run": f"1/{shape}{seed}", "status": "done", "surrogate.name": shape}
            | {"seed": str(seed), "accuracy/test": repr(value), "seconds": "90.0"}
            for shape, values in accuracies.items()
            for seed, value in enumerate(values)
        ]
        (tmp_path / "results").mkdir(exist_ok=True)
        (tmp_path / "results" / "surrogate_shapes.csv").write_text(as_csv(lines))
        return results_page([read_rows(quick=False, roots={})["surrogate_shapes"]], tmp_path)

    return write


def test_every_number_of_the_page_has_a_run_behind_it():
    page = (ROOT / "RESULTS.md").read_text(encoding="utf-8")
    assert page == results_page(list(read_rows(quick=False, roots={}).values()), ROOT), (
        "RESULTS.md is not what results/*.csv give; `snnrun reproduce --collect` makes it"
    )


def test_every_accuracy_of_the_readme_is_on_the_page():
    readme, page = ((ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "RESULTS.md"))
    told = re.findall(r"\d+\.\d ± \d+\.\d(?: \(\d+\))?", readme)
    assert told
    assert [accuracy for accuracy in told if accuracy not in page] == []


def test_a_figure_that_titles_parts_titles_all_of_them():
    for row in read_rows(quick=False, roots={}).values():
        for titles in (figure["part_titles"] for figure in row.figures if "part_titles" in figure):
            assert list(titles) == [part.name for part in row.parts]


def test_another_number_in_a_run_is_another_page(record):
    sigmoid = [0.70, 0.72, 0.71]
    page = record(sigmoid=sigmoid, atan=[0.5, 0.5, 0.5])
    assert "sigmoid: 71.0 ± 1.0 (3)" in page
    assert page != record(sigmoid=[*sigmoid[:2], 0.713], atan=[0.5, 0.5, 0.5])


def test_the_page_tells_how_long_all_of_it_takes(record):
    page = record(sigmoid=[0.70, 0.72, 0.71], atan=[0.5, 0.5])
    assert "All of it was computed on" not in page  # these lines do not say where
    assert "add up to 0.1 hours, those of the longest row, [`surrogate_shapes`](#surrogate_shapes), to 8 min" in page


@pytest.mark.parametrize(
    ("devices", "told"),
    [
        (["cpu", "cpu"], "computed on a CPU; on a GPU: not measured here."),
        (["cuda", "cpu"], "computed on a CPU and a GPU."),
        (["cuda:1", "cuda:0"], "computed on a GPU."),
    ],
)
def test_the_page_tells_what_computed_it(tmp_path, devices, told):
    lines = [
        {"part": "lecture", "run": f"1/{seed}", "status": "done", "device": device, "seed": str(seed)}
        for seed, device in enumerate(devices)
    ]
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "lecture.csv").write_text(as_csv(lines))
    assert f"All of it was {told}\n" in results_page([read_rows(quick=False, roots={})["lecture"]], tmp_path)


FIVE = [0.70, 0.72, 0.71, 0.69, 0.73]


@pytest.mark.parametrize(
    ("other", "told"),
    [
        ([value - 0.1 - 0.001 * k for k, value in enumerate(FIVE)], "**sigmoid is better**"),
        ([value + 0.1 + 0.001 * k for k, value in enumerate(FIVE)], "**atan is better**"),
        ([value + (-1) ** k * 0.05 for k, value in enumerate(FIVE)], "no clear difference"),
        ([value - 0.1 for value in FIVE[:4]], "no claim, which takes 5"),
    ],
)
def test_better_is_said_only_where_five_pairs_say_it(record, other, told):
    claims = [
        line
        for line in record(sigmoid=FIVE, atan=other).splitlines()
        if line.startswith("- surrogate_shapes: surrogate ")
    ]
    assert len(claims) == 1
    assert told in claims[0]
    assert ("better" in claims[0]) == ("better" in told)


def test_two_parts_are_compared_by_their_seeds(tmp_path):
    parts = {
        "surrogate_shapes": FIVE,
        "surrogate_shapes_superspike": [value + 0.1 + 0.001 * k for k, value in enumerate(FIVE)],
    }
    lines = [
        {"part": part, "run": f"{part}/{seed}", "status": "done", "surrogate.name": "superspike", "seed": str(seed)}
        | {"accuracy/test": repr(value)}
        for part, values in parts.items()
        for seed, value in reversed(list(enumerate(values)))  # as it stands in the file is not how it is paired
    ]
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "surrogate_shapes.csv").write_text(as_csv([*lines[:5], *lines[:4:-1]]))
    page = results_page([read_rows(quick=False, roots={})["surrogate_shapes"]], tmp_path)
    (claim,) = [line for line in page.splitlines() if line.startswith("- superspike with beta 10 less")]
    assert "superspike with beta 100: +10.2 points of test accuracy over 5 pairs" in claim
    assert "**superspike with beta 10 is better**" in claim


def test_what_is_not_on_record_is_said_to_be_unmeasured(tmp_path):
    page = results_page([read_rows(quick=False, roots={})["heterogeneity"]], tmp_path)
    assert page.count("| not measured here |") == 3
    assert "`snnrun reproduce heterogeneity shd=DIR`" in page


def test_records_come_back_as_they_were():
    line = {"part": "a", "run": "b/c", "status": "done", "seed": "3", "init.scale": "0.5", "surrogate.name": "atan"}
    line |= {"accuracy/test": "0.123456789", "eval/dataset.speed=0.5/accuracy": "0.25", "epochs": "3.0"}
    (run,) = read(as_csv([line]))["a"]
    assert run.config == {"part": "a", "seed": 3.0, "init.scale": 0.5, "surrogate.name": "atan"}
    assert run.figure("accuracy/test") == 0.123456789
    assert run.figure("eval/dataset.speed=0.5/accuracy") == 0.25
    assert run.figure("epochs") == 3
