"""Many jobs in one process: nothing is left over from one to the next."""

import os
import statistics
import time
from pathlib import Path

import pytest

from snnrun import train

run = train.run


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="the system does not tell the memory of a process")
def test_the_last_of_200_jobs_is_as_small_and_takes_as_much_work_as_the_first(sweep, monkeypatch):
    megabytes, seconds = [], []

    def watched(*arguments):
        megabytes.append(int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20)
        before = time.process_time()  # of this process alone, whatever else the machine does
        run(*arguments)
        seconds.append(time.process_time() - before)

    monkeypatch.setattr(train, "run", watched)
    code, _ = sweep("seed=range(200)", "engine=auto")
    print(f"MB {[round(value) for value in megabytes[::20]]} ms {[round(1000 * value) for value in seconds[::20]]}")
    assert code == 0
    assert len(seconds) == 200
    assert megabytes[-1] - megabytes[20] < 0.05 * megabytes[20]
    assert statistics.median(seconds[-30:]) < 1.2 * statistics.median(seconds[10:40])
