"""e-prop: a learning signal for each neuron times an eligibility of each synapse."""

from collections.abc import Iterator, Sequence

from torch import Tensor, nn

from snnrun.data.batch import EventBatch
from snnrun.engine.types import Layer, Readout
from snnrun.init import readout_weights
from snnrun.learning.base import RULES, Outcome, Task
from snnrun.learning.eligibility import Eligibility
from snnrun.learning.errors import for_neurons
from snnrun.learning.local import LayerLearner, LocalRule, Seen, add_gradient, hidden
from snnrun.learning.traces import TraceLearner, is_presynaptic

BUDGET = 64 * 2**20  # bytes of eligibilities at a time; further samples of a batch wait


@RULES.register("eprop")
class Eprop(LocalRule):
    """The gradient without what spikes do to other neurons of their layer: recurrent spikes are taken as given.

        dL/dW_ij = sum over t of L_j[t] ebar_ij[t]
        L_j[t] = sum over k of B_jk dL/do_k[t],  ebar_ij = kappa * (h(x_j) e_ij)

    e is the eligibility (`Eligibility`), kappa the filter of the readout. B are the feedback weights: "symmetric" ones
    are those of the readout; "random" ones never change; "adaptive" ones start at random and get the gradient of the
    readout's weights, both with an L2 decay, so that they align. Only "random" reaches more than one hidden layer, each
    directly. With symmetric feedback, one layer, and the recurrence detached, this is the gradient of `bptt` exactly.

    The loss "every_step" is the published, online one: the mean over steps of the cross-entropy of o[t]. "readout" is
    that of `bptt`. Its error is known at the end of a sample only, and for the readout max it concerns one step of each
    class: a sample is run twice, first to find the error, then to learn from it, still in memory that does not grow
    with its length. As the future of the error is known then, the filter moves from the eligibility to the learning
    signal (`answers`), which saves a state variable.

    Where the eligibility is the same for all neurons of a layer (no reset, or one that subtracts and is out of the
    gradient; lif, if or cuba_lif with equal time constants; loss "readout"), it is a trace of each input (`traces`):
    batch * inputs numbers instead of batch * inputs * neurons.

    Source: Bellec et al. 2020, Nature Communications 11:3625; adaptive feedback after Kolen & Pollack 1994.
    """

    def __init__(self, task: Task, feedback: str, feedback_decay: float, loss: str) -> None:
        """`feedback`: symmetric, random or adaptive; `feedback_decay`: of adaptive; `loss`: readout or every_step."""
        super().__init__(task)
        self.every_step = loss == "every_step"
        self.decay = feedback_decay
        self.feedback: list[Tensor] = []
        if feedback != "symmetric":
            classes = self.network.readout.weight.shape[1]
            for layer in hidden(self.network):
                drawn = readout_weights(layer.weight.shape[1], classes, task.readout_scale, task.generator)
                drawn = drawn.to(layer.weight)
                self.feedback.append(nn.Parameter(drawn) if feedback == "adaptive" else drawn)

    def parameters(self) -> Iterator[nn.Parameter]:
        """See `Rule.parameters`."""
        return (weights for weights in self.feedback if isinstance(weights, nn.Parameter))

    def state_dict(self) -> dict[str, Tensor]:
        """See `Rule.state_dict`."""
        return {f"feedback{k}": weights.detach() for k, weights in enumerate(self.feedback, 1)}

    def gradient(self, inputs: EventBatch, labels: Tensor) -> Outcome:
        """See `Rule.gradient`."""
        outcome = super().gradient(inputs, labels)
        readout = self.network.readout.weight
        for feedback in self.parameters():
            assert readout.grad is not None
            feedback.grad = readout.grad + self.decay * feedback.detach()
            add_gradient(readout, self.decay * readout.detach())
        return outcome

    def signals(self, seen: Seen) -> list[Tensor]:
        """See `LocalRule.signals`."""
        return [seen.errors @ weights.T for weights in self.feedback or [seen.readout.weight]]

    def learner(self, layer: Layer, readout: Readout, batch: int) -> LayerLearner:
        """See `LocalRule.learner`."""
        if self._by_traces(layer):
            return TraceLearner(layer, batch)
        return Eligibility(layer, batch, for_neurons(readout) if self.every_step else None)

    def group(self, layers: Sequence[Layer], batch: int) -> int:
        """See `LocalRule.group`."""
        if all(map(self._by_traces, layers)):
            return batch
        numbers = 0
        for layer in layers:
            assert layer.weight is not None
            senders = len(layer.weight) + (0 if layer.recurrent is None else layer.size)
            numbers += (len(layer.neuron.states) + 2 * self.every_step) * senders * layer.size
        return max(1, min(batch, BUDGET // (numbers * layers[0].constants[0].element_size())))

    def _by_traces(self, layer: Layer) -> bool:
        return not self.every_step and is_presynaptic(layer)
