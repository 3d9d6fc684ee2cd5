"""launcher=slurm on a real SLURM: jobs run, and one that is preempted goes back into the queue and goes on."""

import csv
import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.sweeps.conftest import wait_for


def partitions() -> list[str]:
    """The partitions of this machine's SLURM."""
    if shutil.which("sinfo") is None:
        return []
    told = subprocess.run(["sinfo", "-h", "-o", "%R"], capture_output=True, text=True, check=False)
    return told.stdout.split()


pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("sinfo") is None or not partitions(), reason="there is no SLURM here"),
]
SMALL = ("launcher=slurm", "launcher.threads=1", "launcher.mem_gb=2", "launcher.time_min=10")


def test_a_sweep(sweep):
    code, folder = sweep(*SMALL, "seed=1", "optimizer.lr=0.1,1e300")
    assert code == 1
    rows = list(csv.DictReader((folder / "summary.csv").read_text().splitlines()))
    assert [row["status"] for row in rows] == ["done", "failed"]
    assert "traceback in" in rows[1]["error"]


@pytest.mark.skipif(not {"main", "urgent"} <= set(partitions()), reason="no partition urgent that preempts main")
def test_a_preempted_job_goes_on(command, tmp_path):
    process = command(*SMALL, "launcher.partition=main", "seed=1", "training.epochs=400", "name=preempted")
    try:
        wait_for(lambda: epochs(tmp_path) >= 5)
        cores = subprocess.run(["nproc"], capture_output=True, text=True, check=True).stdout.strip()
        urgent = ["srun", "-p", "urgent", "-n", "1", "-c", cores, "--mem=1G", "sleep", "1"]
        subprocess.run(urgent, check=True, capture_output=True, timeout=120)
        out, err = process.communicate(timeout=400)
    finally:
        process.kill()
    assert process.returncode == 0, err
    run = next((tmp_path / out.splitlines()[-1]).glob("*/results.json"))
    assert json.loads(run.read_text())["status"] == "done"
    sessions = json.loads((run.parent / "environment.json").read_text())["resumed"]
    assert sessions[0]["after_epoch"] >= 4
    numbers = [int(row["epoch"]) for row in csv.DictReader((run.parent / "metrics.csv").read_text().splitlines())]
    assert numbers == list(range(1, 401))


def epochs(folder: Path) -> int:
    """Lines in metrics.csv of the one job in `folder`."""
    found = list(folder.glob("outputs/sweeps/preempted/*/*/metrics.csv"))
    return len(found[0].read_text().splitlines()) if found else 0
