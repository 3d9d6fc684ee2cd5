"""Rules that tie several keys together."""

from collections.abc import Callable

from snnrun.config.check import ProblemError, show
from snnrun.config.datasets import Hdf5Config
from snnrun.config.inits import CalibratedConfig, DaleConfig
from snnrun.config.learning_rules import LEARNING_RULES
from snnrun.config.neurons import AdLifConfig, TauConfig
from snnrun.config.schema import Config, NetworkConfig

Rule = Callable[[Config], None]
DELAYED_RULES = ("bptt",)  # the learning rules that carry spikes on their way from step to step


def check_rules(config: Config) -> None:
    """Raise ProblemError for the first combination of keys that makes no sense."""
    spiking = isinstance(config.network, NetworkConfig)
    for rule in (*RULES, *(SPIKING_RULES if spiking else (_not_spiking,))):
        rule(config)


def _slope(config: Config) -> None:
    if config.beta != config.surrogate.beta:
        text = f"differs from surrogate.beta={config.surrogate.beta}; they are the same thing, so give one of them"
        raise ProblemError("beta", config.beta, text)


def _recurrent(config: Config) -> None:
    given, layers = config.spiking.recurrent, len(config.spiking.hidden)
    if not isinstance(given, bool) and len(given) != layers:
        text = f"has {len(given)} items but network.hidden={show(config.spiking.hidden)} has {layers} layers"
        raise ProblemError("network.recurrent", given, text)


def _bins(config: Config) -> None:
    if config.dataset.dt > config.dataset.duration:
        text = f"must be at most dataset.duration={config.dataset.duration} (both in ms)"
        raise ProblemError("dataset.dt", config.dataset.dt, text)


def _validation(config: Config) -> None:
    data = config.dataset
    if data.validation_speakers is not None and data.validation != "speakers":
        text = f"needs dataset.validation=speakers, not {data.validation}"
        raise ProblemError("dataset.validation_speakers", data.validation_speakers, text)
    if config.training.early_stopping > 0 and not holds_out(config):
        text = "needs validation data; choose dataset.validation=speakers or fraction"
        raise ProblemError("training.early_stopping", config.training.early_stopping, text)


def holds_out(config: Config) -> bool:
    """Whether there is validation data: a held-out part, or a file of its own."""
    data = config.dataset
    own_file = data.name == "ssc" or (isinstance(data, Hdf5Config) and data.valid is not None)
    return own_file or data.validation != "none"


def _folds(config: Config) -> None:
    data = config.dataset
    if data.fold is None:
        return
    if data.validation != "speakers" or data.validation_speakers is not None:
        text = "needs dataset.validation=speakers and dataset.validation_speakers=null"
        raise ProblemError("dataset.fold", data.fold, text)
    if data.fold >= data.folds:
        raise ProblemError("dataset.fold", data.fold, f"must be below dataset.folds={data.folds}")


def _speed(config: Config) -> None:
    speed = config.dataset.speed
    if isinstance(speed, tuple) and speed[0] > speed[1]:
        raise ProblemError("dataset.speed", speed, "must be a range, the smaller number first")


def _spytorch(config: Config) -> None:
    data = config.dataset
    if data.binning == "spytorch" and 2 * data.dt > data.duration:
        text = f"needs at least 2 steps, so dataset.dt at most {data.duration / 2:g}"
        raise ProblemError("dataset.binning", data.binning, text)


def _time_constants(config: Config) -> None:
    neuron = config.neuron
    if not isinstance(neuron, TauConfig):
        return
    if neuron.tau_min >= neuron.tau_max:
        raise ProblemError("neuron.tau_min", neuron.tau_min, f"must be below neuron.tau_max={neuron.tau_max}")
    if neuron.tau_train == "shared" and neuron.tau_init != "constant":
        text = f"needs neuron.tau_init=constant, not {neuron.tau_init}; one shared value has no distribution"
        raise ProblemError("neuron.tau_train", "shared", text)
    if neuron.tau_train == "none" and neuron.tau_init == "constant":
        return
    for key, mean in neuron.means().items():
        if not neuron.tau_min <= mean <= neuron.tau_max:
            text = f"must be from neuron.tau_min={neuron.tau_min} to neuron.tau_max={neuron.tau_max}"
            raise ProblemError(f"neuron.{key}", mean, text)


def _not_spiking(config: Config) -> None:
    """What asks a baseline for something that only spiking neurons have; the run tells of keys without effect."""
    name = config.network.name
    for key, value, allowed in (
        ("learning", config.learning.name, ("bptt",)),
        ("engine", config.engine, ("auto", "reference")),
        ("report.tau_reference", config.report.tau_reference, (None,)),
    ):
        if value not in allowed:
            text = f"needs spiking neurons; allowed with network={name} is {_words(tuple(map(show, allowed)))}"
            raise ProblemError(key, value, text)
    for key, asked in (("epochs", config.training.epochs == 0), ("diagnose", config.training.diagnose)):
        if asked:
            value = getattr(config.training, key)
            raise ProblemError(f"training.{key}", value, f"diagnoses spiking neurons, and network={name} has none")


def _tau_reference(config: Config) -> None:
    if config.report.tau_reference is not None and not isinstance(config.neuron, TauConfig):
        text = f"needs neurons with a membrane time constant, which neuron={config.neuron.name} has not"
        raise ProblemError("report.tau_reference", config.report.tau_reference, text)


def _adaptation(config: Config) -> None:
    neuron = config.neuron
    if isinstance(neuron, AdLifConfig):
        for key in ("a", "b"):
            low, high = getattr(neuron, key)
            if low > high:
                raise ProblemError(f"neuron.{key}", (low, high), "must be a range, the smaller number first")


def _area(config: Config) -> None:
    surrogate = config.surrogate
    if surrogate.name == "multi_gaussian" and surrogate.scale == "area" and surrogate.gamma >= 1:
        text = "must be below 1 with surrogate.scale=area, since the area of multi_gaussian is 1 - gamma"
        raise ProblemError("surrogate.gamma", surrogate.gamma, text)


def _delays(config: Config) -> None:
    network, data = config.spiking, config.dataset
    if network.delays == "none":
        return
    if not data.dt <= network.max_delay <= data.duration:
        text = f"must be from dataset.dt={data.dt}, one bin, to dataset.duration={data.duration}, a sample (all in ms)"
        raise ProblemError("network.max_delay", network.max_delay, text)
    if network.delayed != "feedforward" and not _any_recurrent(config):
        text = "needs recurrent layers; choose network.recurrent=true or network.delayed=feedforward"
        raise ProblemError("network.delayed", network.delayed, text)
    if config.learning.name not in DELAYED_RULES:
        text = f"has no gradient for delays with learning={config.learning.name}; learning={_words(DELAYED_RULES)} does"
        raise ProblemError("network.delays", network.delays, text)
    if network.delay_sigma is not None and network.delay_sigma[0] < network.delay_sigma[1]:
        raise ProblemError("network.delay_sigma", network.delay_sigma, "must shrink, the larger number first")


def _any_recurrent(config: Config) -> bool:
    given = config.spiking.recurrent
    return given if isinstance(given, bool) else any(given)


def _words(names: tuple[str, ...]) -> str:
    return " or ".join(names)


def _dale(config: Config) -> None:
    if not isinstance(config.init, DaleConfig):
        return
    recurrent = config.spiking.recurrent
    if not (recurrent if isinstance(recurrent, bool) else all(recurrent)):
        text = "needs recurrent layers, which hold the inhibition; choose network.recurrent=true"
        raise ProblemError("init", config.init.name, text)
    share = config.init.inhibitory
    for neurons in config.spiking.hidden:
        if not 0 < round(share * neurons) < neurons:
            text = f"leaves {round(share * neurons)} of {neurons} neurons inhibitory; Dale's law needs both kinds"
            raise ProblemError("init.inhibitory", share, text)


def _target_rate(config: Config) -> None:
    if isinstance(config.init, CalibratedConfig) and config.init.target_rate_hz * config.dataset.dt >= 1000:
        text = f"must be below {1000 / config.dataset.dt:g} Hz, a spike in every step of dataset.dt={config.dataset.dt}"
        raise ProblemError("init.target_rate_hz", config.init.target_rate_hz, text)


def _readout(config: Config) -> None:
    network = config.spiking
    if network.readout_population > 1 and network.readout not in ("spike_count", "first_spike"):
        text = f"needs a readout that spikes; choose network.readout=spike_count or first_spike, not {network.readout}"
        raise ProblemError("network.readout_population", network.readout_population, text)


def _normalised(config: Config) -> None:
    network = config.spiking
    if network.batch_norm and isinstance(config.init, CalibratedConfig):
        text = "cannot go with init=calibrated, since normalised currents do not depend on the scale of the weights"
        raise ProblemError("network.batch_norm", True, text)
    if network.batch_norm and network.delays != "none" and network.delayed != "recurrent":
        text = "cannot go with delays from below; set network.delays=none or network.delayed=recurrent"
        raise ProblemError("network.batch_norm", True, text)


def _device(config: Config) -> None:
    if config.engine == "cpu" and config.device == "cuda":
        raise ProblemError("engine", "cpu", "computes on the CPU and cannot go with device=cuda")


def _rates(config: Config) -> None:
    bounds = config.regularizer
    if bounds.lower > 0 and bounds.upper > 0 and bounds.lower_rate_hz >= bounds.upper_rate_hz:
        text = f"must be below regularizer.upper_rate_hz={bounds.upper_rate_hz}"
        raise ProblemError("regularizer.lower_rate_hz", bounds.lower_rate_hz, text)


RULES: list[Rule] = [
    _slope,
    _area,
    _time_constants,
    _adaptation,
    _target_rate,
    _bins,
    _validation,
    _folds,
    _speed,
    _spytorch,
    _device,
    _rates,
]
SPIKING_RULES: list[Rule] = [
    *LEARNING_RULES,
    _tau_reference,
    _dale,
    _recurrent,
    _delays,
    _readout,
    _normalised,
]
