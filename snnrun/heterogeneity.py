"""What became of the time constants: distributions fitted to them, beside those of real neurons.

After Perez-Nieves et al. 2021, Nature Communications 12:5791, figure 4, where learned and experimental membrane time
constants both look like gamma or log-normal distributions.

A reference sample is a CSV file with a header and a column of membrane time constants in ms. That of the Allen Cell
Types database (Allen Institute, celltypes.brain-map.org) is had with AllenSDK (pip install allensdk):

    import pandas
    from allensdk.core.cell_types_cache import CellTypesCache
    pandas.DataFrame(CellTypesCache().get_ephys_features()).to_csv("allen.csv", index=False)

Its column `tau` is in ms. Join it with `get_cells()` on `specimen_id` to keep a species, an area or a type of neuron.
"""

import csv
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snnrun.config import Config, NetworkConfig, TauConfig
from snnrun.errors import UserError
from snnrun.network import Network
from snnrun.registry import did_you_mean

Sample = NDArray[np.float64]  # time constants in ms
Populations = dict[str, dict[str, Sample]]  # layer -> tau_mem, tau_syn, tau_adapt -> (neurons,)

FEWEST = 10  # values to which a distribution is fitted
ALIKE = 1e-3  # relative spread below which all neurons count as one


def time_constants(network: Network) -> Populations:
    """The time constants of every hidden layer."""
    found: Populations = {name: {} for name in network.layer_names()}
    for tag, values in network.distributions().items():
        constant, layer = tag.split("/")
        if layer in found and constant.startswith("tau_"):
            found[layer][constant.removesuffix("_ms")] = values.double().cpu().numpy()
    return found


def worth_telling(config: Config) -> bool:
    """Whether the time constants differ, are trained, or are to be compared."""
    neuron = config.neuron
    if not isinstance(neuron, TauConfig) or not isinstance(config.network, NetworkConfig):
        return False
    return neuron.tau_train != "none" or neuron.tau_init != "constant" or config.report.tau_reference is not None


def describe(populations: Populations, reference: Sample | None) -> dict[str, Any]:
    """Figures for results.json: layer -> tau_mem_ms, ... -> see `fits`; and `reference`, where there is one.

    A membrane time constant also has `ks_reference` and `p_reference`, the Kolmogorov-Smirnov test of its distribution
    against that of the reference.
    """
    found: dict[str, Any] = {}
    for layer, constants in populations.items():
        found[layer] = {f"{name}_ms": fits(values) for name, values in constants.items()}
        if reference is not None and "tau_mem" in constants:
            from scipy import stats

            test = stats.ks_2samp(constants["tau_mem"], reference)
            found[layer]["tau_mem_ms"] |= {"ks_reference": float(test.statistic), "p_reference": float(test.pvalue)}
    if reference is not None:
        found["reference"] = fits(reference)
    return found


def fits(values: Sample) -> dict[str, Any]:
    """Size, mean, standard deviation; and for values that differ, gamma and log-normal distributions fitted to them.

    The fits are by maximum likelihood with the distribution starting at 0. Goodness of fit: `ks`, the statistic of the
    Kolmogorov-Smirnov test; `p` of that test, which is too favourable as the parameters come from the same values; and
    `aic`, Akaike's criterion, by which `best` is chosen (lower is better; differences below 2 say little).

    Args:
        values: time constants in ms, above 0.
    """
    from scipy import stats

    found: dict[str, Any] = {"values": len(values), "mean": float(values.mean()), "std": float(values.std())}
    if len(values) < FEWEST or found["std"] <= ALIKE * found["mean"]:
        return found
    shape, _, scale = stats.gamma.fit(values, floc=0)
    found["gamma"] = {"shape": float(shape), "scale_ms": float(scale)} | _goodness(values, stats.gamma(shape, 0, scale))
    sigma, _, median = stats.lognorm.fit(values, floc=0)
    found["lognormal"] = {"sigma": float(sigma), "median_ms": float(median)}
    found["lognormal"] |= _goodness(values, stats.lognorm(sigma, 0, median))
    found["best"] = min(("gamma", "lognormal"), key=lambda name: found[name]["aic"])
    return found


def density(fit: Mapping[str, Any], family: str, tau: Sample) -> Sample:
    """Density per ms at `tau` of the gamma or log-normal distribution in what `fits` returned."""
    from scipy import stats

    found = fit[family]
    if family == "gamma":
        values: Sample = stats.gamma.pdf(tau, found["shape"], scale=found["scale_ms"])
    else:
        values = stats.lognorm.pdf(tau, found["sigma"], scale=found["median_ms"])
    return values


def lines(described: Mapping[str, Any]) -> Iterator[str]:
    """What `describe` found, a line for each population."""
    for layer, constants in described.items():
        if layer == "reference":
            yield f"time constants: reference, {_line(constants)}"
            continue
        for name, found in constants.items():
            compared = f"; KS {found['ks_reference']:.3f} to the reference" if "ks_reference" in found else ""
            yield f"time constants: {layer} {name.removesuffix('_ms')}, {_line(found)}{compared}"


def read_reference(config: Config) -> Sample | None:
    """The reference sample that the configuration names, in ms; None where it names none. Empty fields are left out.

    Raises UserError for a file that is not there, is no such table, or has too few values.
    """
    path, column = config.report.tau_reference, config.report.tau_column
    if path is None:
        return None
    try:
        with Path(path).expanduser().open(newline="", encoding="utf-8-sig") as file:
            values = list(_column(csv.DictReader(file), column))
    except OSError as error:
        raise UserError(f"report.tau_reference={path}: {error.strerror}; a CSV file is needed") from None
    except (UnicodeDecodeError, csv.Error):
        raise UserError(f"report.tau_reference={path}: no text in UTF-8; a CSV file is needed") from None
    except ValueError as error:
        raise UserError(f"report.tau_reference={path}: {error}") from None
    if len(values) < FEWEST:
        found = f"{len(values)} values in {column!r}"
        raise UserError(f"report.tau_reference={path}: {found}; at least {FEWEST} are needed")
    return np.array(values)


def _column(table: "csv.DictReader[str]", column: str) -> Iterator[float]:
    """The numbers of a column; raises ValueError with what is wrong and where."""
    names = [name.strip() for name in table.fieldnames or []]
    if column not in names:
        known = f"{did_you_mean(column, names)}; columns are {', '.join(names) or 'none'}"
        raise ValueError(f"no column {column!r}{known}; see report.tau_column")
    table.fieldnames = names
    for row in table:
        text = (row[column] or "").strip()
        if text.lower() in ("", "nan", "none", "null", "na"):
            continue
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not 0 < value < math.inf:
            raise ValueError(f"line {table.line_num}: {column} must be a time above 0 in ms, not {text}")
        yield value


def _goodness(values: Sample, distribution: Any) -> dict[str, float]:
    from scipy import stats

    test = stats.kstest(values, distribution.cdf)
    aic = 2 * 2 - 2 * float(distribution.logpdf(values).sum())  # two parameters each
    return {"ks": float(test.statistic), "p": float(test.pvalue), "aic": aic}


def _line(found: Mapping[str, Any]) -> str:
    parts = [f"{found['mean']:.1f} ± {found['std']:.1f} ms"]
    if "best" in found:
        gamma, lognormal = found["gamma"], found["lognormal"]
        parts.append(f"gamma(shape {gamma['shape']:.2f}, scale {gamma['scale_ms']:.2f} ms) KS {gamma['ks']:.3f}")
        named = f"lognormal(sigma {lognormal['sigma']:.2f}, median {lognormal['median_ms']:.1f} ms)"
        parts.append(f"{named} KS {lognormal['ks']:.3f}, {found['best']} has the lower AIC")
    return ", ".join(parts)
