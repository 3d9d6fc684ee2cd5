"""How torch's threads wait for each other; decided before torch is imported, for it cannot be changed later."""

import os

from snnrun.config.schema import Config


def choose_waiting(config: Config) -> None:
    """Let idle threads of torch sleep where the fused CPU engine computes, unless the user has chosen.

    By default they spin for a while, on cores that the engine's own threads need then; plain torch, which hands work to
    them all the time, is faster when they spin.
    """
    if config.engine != "reference" and config.learning.name == "bptt":
        os.environ.setdefault("OMP_WAIT_POLICY", "passive")
