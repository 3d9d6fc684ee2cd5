"""Rules that tie the keys of a learning rule to those of the network that it trains, which spikes."""

from snnrun.config.check import ProblemError, show
from snnrun.config.learning import EpropConfig, LocalConfig
from snnrun.config.neurons import TauConfig
from snnrun.config.schema import Config

DERIVED = {
    "eprop": ("lif", "if", "cuba_lif", "alif"),
    "ottt": ("lif", "if", "cuba_lif"),
    "decolle": ("lif", "if", "cuba_lif"),
}  # rule -> the models that its equations are derived for


def _derived(config: Config) -> None:
    rule, neuron = config.learning, config.neuron
    if not isinstance(rule, LocalConfig):
        return
    allowed = DERIVED[rule.name]
    if neuron.name not in allowed:
        text = f"is not derived for neuron={neuron.name}; allowed with it are {', '.join(allowed)}"
        raise ProblemError("learning", rule.name, text)
    if not isinstance(neuron, TauConfig):
        return
    if neuron.tau_train != "none":
        text = f"needs neuron.tau_train=none, not {neuron.tau_train}; it learns weights only"
        raise ProblemError("learning", rule.name, text)
    if rule.name != "eprop" and neuron.tau_init != "constant":
        text = f"needs neuron.tau_init=constant, not {neuron.tau_init}; a trace is common to all neurons of a layer"
        raise ProblemError("learning", rule.name, text)


def _online(config: Config) -> None:
    rule, bounds = config.learning, config.regularizer
    if not isinstance(rule, LocalConfig) or (isinstance(rule, EpropConfig) and rule.loss == "readout"):
        return
    for key in ("lower", "upper"):
        if getattr(bounds, key) > 0:
            text = f"needs the rates of a sample before it is learnt from, and {rule.name} learns at every step"
            raise ProblemError(f"regularizer.{key}", getattr(bounds, key), text)


def _feedback(config: Config) -> None:
    rule, layers = config.learning, len(config.spiking.hidden)
    if isinstance(rule, EpropConfig) and rule.feedback != "random" and layers > 1:
        text = f"{rule.feedback} reaches one hidden layer, network.hidden has {layers}; allowed with several is random"
        raise ProblemError("learning.feedback", rule.feedback, text)


def _whole_samples(config: Config) -> None:
    rule, network = config.learning.name, config.spiking
    if rule == "bptt":
        return
    for key, value, allowed in (
        ("network.readout", network.readout, ("max", "mean", "last")),
        ("network.batch_norm", network.batch_norm, (False,)),
        ("network.dropout", network.dropout, (0,)),
        ("neuron.refractory", config.neuron.refractory, (0,)),
        ("training.label_smoothing", config.training.label_smoothing, (0,)),
    ):
        if value not in allowed:
            text = f"goes with learning=bptt only; allowed with learning={rule} is {', '.join(map(show, allowed))}"
            raise ProblemError(key, value, text)


def _rule_engine(config: Config) -> None:
    if config.learning.name != "bptt" and config.engine not in ("auto", "reference"):
        text = f"computes learning=bptt only; allowed with learning={config.learning.name} are auto and reference"
        raise ProblemError("engine", config.engine, text)


LEARNING_RULES = [_derived, _feedback, _online, _whole_samples, _rule_engine]
