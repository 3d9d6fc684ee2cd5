"""The best epoch of a run so far, with the network that it had then."""

import math
from dataclasses import asdict, dataclass, field
from typing import Any

from torch import Tensor

from snnrun.evaluate import Evaluation
from snnrun.network import Network


@dataclass
class Best:
    """The best epoch so far by the validation figure `monitor` (accuracy, loss); the last one without validation."""

    monitor: str
    epoch: int = 0
    found: Evaluation | None = None
    network: dict[str, Tensor] = field(default_factory=dict)  # its state

    @property
    def accuracy(self) -> float:
        """Validation accuracy of that epoch; NaN without one."""
        return math.nan if self.found is None else self.found.accuracy

    def update(self, epoch: int, found: Evaluation | None, network: Network) -> bool:
        """Take over an epoch if it is better; returns whether it was."""
        if found is not None and self.found is not None and not self._key(found) > self._key(self.found):
            return False
        self.epoch, self.found = epoch, found
        self.network = {name: values.clone() for name, values in network.state_dict().items()}
        return True

    def state_dict(self) -> dict[str, Any]:
        """All of it as plain data."""
        found = None if self.found is None else asdict(self.found)
        return {"epoch": self.epoch, "found": found, "network": self.network}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` returned."""
        self.epoch, self.network = state["epoch"], state["network"]
        self.found = None if state["found"] is None else Evaluation(**state["found"])

    def _key(self, found: Evaluation) -> tuple[float, float]:
        """What is compared, larger is better; the other figure decides a tie."""
        figures = (found.accuracy, -found.loss)
        return figures if self.monitor == "accuracy" else figures[::-1]
