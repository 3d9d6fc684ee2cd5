"""The package as others get it: built into a wheel, installed, and run from another folder."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel built from a copy of the sources, so that no build folder is left behind."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not in a git checkout")
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", target, source]
    subprocess.run(command, check=True, capture_output=True)
    (built,) = target.glob("snnrun-*.whl")
    return built


def test_the_wheel_has_the_configuration_and_every_module(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    listed = subprocess.run(["git", "ls-files", "snnrun", "conf"], cwd=ROOT, capture_output=True, text=True, check=True)
    tracked = [name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]
    expected = {f"snnrun/{name}" if name.startswith("conf/") else name for name in tracked}
    assert expected - names == set()
    assert not any(name.startswith(("tests/", "conf/")) for name in names)


@pytest.mark.slow
def test_a_run_from_the_wheel_in_another_folder(wheel, tmp_path):
    """One epoch with the installed wheel; torch and the like come from the environment of the tests."""
    site = tmp_path / "site"
    install = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", site, wheel]
    subprocess.run(install, check=True, capture_output=True)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    environment = os.environ | {"PYTHONPATH": str(site)}

    def python(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, *words]
        return subprocess.run(command, cwd=elsewhere, env=environment, capture_output=True, text=True, check=False)

    assert python("-c", "import snnrun; print(snnrun.__file__)").stdout.startswith(str(site))
    done = python("-m", "snnrun", "train", "training.epochs=1", "network.hidden=[20]", "dataset.dt=20")
    assert done.returncode == 0, done.stderr
    assert (elsewhere / done.stdout.splitlines()[-1] / "results.json").is_file()
