"""The installed commands `snnrun report` and `snnrun board`."""

import csv
import json
import re
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
import yaml


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    """A sweep over shape, slope and seed, as its jobs leave it."""
    folder = tmp_path / "sweep"
    for shape in ("sigmoid", "atan"):
        for beta in (1.0, 5.0, 25.0):
            for seed in (0, 1):
                run = folder / f"beta={beta:g},seed={seed},surrogate={shape}"
                run.mkdir(parents=True)
                config = {"seed": seed, "surrogate": {"name": shape, "beta": beta}, "dataset": {"split_seed": seed}}
                (run / "config.yaml").write_text(yaml.safe_dump(config))
                typed = [f"surrogate={shape}", f"beta={beta:g}", f"seed={seed}"]
                (run / "overrides.yaml").write_text(yaml.safe_dump(typed))
                accuracy = {"valid_best": 0.5 + beta / 100 + seed / 50, "test": 0.4}
                results = {"status": "done", "accuracy": accuracy, "rate_hz": {"hidden1": beta}, "seconds": 3.0}
                (run / "results.json").write_text(json.dumps(results))
                header = "epoch,loss/valid,accuracy/valid,time/epoch_s,memory/peak_mb\n"
                (run / "metrics.csv").write_text(f"{header}1,2.5,0.3,1.0,700\n2,2.0,0.5,1.1,710\n")
    return folder


def test_a_report_has_what_the_folders_have(snnrun, sweep):
    done = snnrun("report", "sweep", "compare=surrogate=sigmoid,atan", "format=svg")
    assert done.returncode == 0, done.stderr
    page = sweep.parent / done.stdout.splitlines()[-1]
    text = page.read_text()
    assert "12 runs: 12 done." in text
    assert "| atan | 25 | 2 | 76.0 ± 1.4 (2) | 40.0 ± 0.0 (2) | 3.0 |" in text
    for picture in re.findall(r"\]\((.*?\.png)\)", text):
        assert (page.parent / picture).read_bytes().startswith(b"\x89PNG")
        assert (page.parent / picture).with_suffix(".svg").exists()
    assert {"accuracy.png", "learning_curves.png", "rates.png", "cost.png"} <= {p.name for p in page.parent.iterdir()}
    rows = list(csv.DictReader((page.parent / "runs.csv").read_text().splitlines()))
    assert {(row["surrogate.name"], row["surrogate.beta"], row["seed"]) for row in rows} == {
        (shape, beta, seed) for shape in ("sigmoid", "atan") for beta in ("1", "5", "25") for seed in ("0", "1")
    }


def test_a_second_report_leaves_the_first(snnrun, sweep):
    first, second = (snnrun("report", "sweep").stdout.splitlines()[-1] for _ in range(2))
    assert first != second
    assert (sweep.parent / first).exists()
    assert (sweep.parent / second).exists()
    assert "12 runs" in (sweep.parent / second).read_text(), "a report is no run"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "name a folder"),
        (["nowhere"], "nowhere: there is no such folder"),
        (["sweep", "forma=svg"], "did you mean format"),
        (["sweep", "format=gif"], "must be one of png, svg, pdf"),
        (["sweep", "path=sweep"], "exists already"),
        (["empty"], "there is no run in it"),
    ],
)
def test_bad_input_is_one_line(snnrun, sweep, words, told):
    (sweep.parent / "empty").mkdir()
    done = snnrun("report", *words)
    assert done.returncode == 2
    assert told in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_board_serves_the_runs(tmp_path, free_port):
    folder = tmp_path / "outputs" / "run"
    folder.mkdir(parents=True)
    from snnrun import summaries
    from snnrun.event_file import EventFile

    with EventFile(folder) as file:
        file.add(summaries.scalar("loss/train", 1.0), 1)
    command = [str(Path(sys.executable).parent / "snnrun"), "board", "--port", str(free_port)]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as board:
        try:
            assert wait_for(f"http://localhost:{free_port}/data/runs") == ["run"]
        finally:
            board.terminate()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["nowhere"], "no such folder"),
        (["."], "no run in it"),
        (["a", "b"], "takes one folder"),
    ],
)
def test_board_says_what_it_cannot_show(snnrun, words, told):
    done = snnrun("board", *words)
    assert done.returncode == 2
    assert told in done.stderr


def wait_for(url: str) -> list[str]:
    for _ in range(120):
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                found: list[str] = json.load(answer)
                if found:
                    return found
        except OSError:
            pass
        time.sleep(0.5)
    raise AssertionError(f"{url} did not answer")
