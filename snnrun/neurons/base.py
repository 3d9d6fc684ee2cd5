"""What a neuron model is: per-neuron constants, a state, and the equations of one time step."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

from torch import Tensor, nn

from snnrun.neurons.time_constants import TimeConstant
from snnrun.registry import Registry

State = tuple[Tensor, ...]
THRESHOLD = 1.0


class Neuron(nn.Module, ABC):
    """A population of neurons of one model.

    An engine asks for `constants()` once a batch and applies `step` at every time step. Everything a model computes
    per step is in `step`; everything it learns (time constants) is behind `constants`, outside the loop over time.

    Attributes:
        name: name of the model on the command line.
        states: names of the state variables, in the order in which `step` takes and returns them.
        reset: what a spike does to the membrane potential right after it: "zero" sets it to 0, "subtract" takes the
            threshold 1 from it, "none" leaves it.
        detach_reset: True keeps the gradient from flowing through the reset.
    """

    name: str
    states: tuple[str, ...]

    def __init__(self, reset: str, detach_reset: bool) -> None:
        super().__init__()
        self.reset = reset
        self.detach_reset = detach_reset

    @abstractmethod
    def constants(self) -> tuple[Tensor, ...]:
        """The constants of the step, each (neurons,), differentiable with respect to the trained parameters."""

    @abstractmethod
    def step(self, constants: Sequence[Tensor], state: State, spikes: Tensor, current: Tensor) -> tuple[State, Tensor]:
        """Advance one time step.

        Args:
            constants: what `constants` returned.
            state: state variables after the last step, each (batch, neurons).
            spikes: S[t-1], (batch, neurons).
            current: I[t], (batch, neurons): weighted input and recurrent spikes.

        Returns:
            The new state, and x[t], the distance of the potential from the threshold; S[t] = H(x[t]).
        """

    def distance(self, constants: Sequence[Tensor], state: State) -> Tensor:
        """x[t], the distance of the potential from the threshold, in the state that `step` returned with it."""
        return state[self.states.index("v")] - THRESHOLD

    def constrain(self) -> None:
        """Bring trained constants back into their ranges; call it after every step of the optimiser."""
        for module in self.children():
            if isinstance(module, TimeConstant):
                module.constrain()

    def after_reset(self, v: Tensor, spikes: Tensor) -> Tensor:
        """The membrane potential v[t-1] after the reset by the spikes S[t-1]; both (batch, neurons)."""
        s = spikes.detach() if self.detach_reset else spikes
        if self.reset == "zero":
            return v * (1 - s)
        return v - THRESHOLD * s if self.reset == "subtract" else v


NEURONS: Registry[Callable[..., Neuron]] = Registry("neuron")  # called with neurons= and the keys of the config
