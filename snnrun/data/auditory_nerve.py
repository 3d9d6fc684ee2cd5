"""Hair cells, auditory nerve fibres and bushy cells: from the membrane's velocity to spikes, in steps of 1/24,000 s.

The hair cell is that of Meddis 1986 (JASA 79, 702) with the constants of Meddis 1988 (JASA 83, 1056); fibres and bushy
cells are those of Cramer, Stradmann, Schemmel & Zenke 2020 (IEEE TNNLS, appendix). No function uses "fastmath",
so that the order of its operations, and with it the spikes, is the same on every machine.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from snnrun.data.basilar_membrane import SAMPLE_RATE

Floats = NDArray[np.float64]

STEP = 2.0 / SAMPLE_RATE
"""Time step in s."""

# The hair cell of Meddis 1988, in his letters: permeability (A, B in the velocity's units, G in 1/s), the rates of
# the stores in 1/s, and the fibres' chance of a spike a second for a full cleft (H).
_A, _B, _G = 5.0, 300.0, 2000.0
_MAKE, _LOSE, _RETURN, _REPROCESS, _H = 5.05, 2500.0, 6580.0, 66.3, 50000.0

# The bushy cell: fibres, time constants in s, and the weight of all fibres together in 1/s.
_FIBRES, _TAU_SYNAPSE, _TAU_MEMBRANE, _WEIGHT = 40, 0.5e-3, 1e-3, 13000.0
_SYNAPSE_DECAY, _MEMBRANE_DECAY = np.exp(-STEP / _TAU_SYNAPSE), np.exp(-STEP / _TAU_MEMBRANE)
_REFRACTORY_STEPS = round(1e-3 / STEP)  # of fibres and bushy cells


@njit(cache=True, error_model="numpy")
def _uniform(key: np.uint64, counter: np.uint64) -> float:
    """A number in [0, 1) that depends on key and counter only (SplitMix64; Steele, Lea & Flood 2014)."""
    z = key + counter * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z = z ^ (z >> np.uint64(31))
    return (z >> np.uint64(11)) * 2.0**-53


@njit(cache=True, error_model="numpy")
def _binomial(draw: float, trials: float, probability: float) -> float:
    """Successes in `trials` from one uniform draw: the binomial distribution function inverted."""
    if probability >= 1.0:
        return trials
    missing = 1.0 - probability
    mass = 1.0
    for _ in range(int(trials)):
        mass *= missing
    upper = 1.0 - draw
    successes = 0.0
    total = mass
    while total < upper and successes < trials:
        mass *= (trials - successes) / (successes + 1.0) * (probability / missing)
        successes += 1.0
        total += mass
    return successes


@njit(cache=True, error_model="numpy")
def hair_cells(velocity: Floats, pool: Floats, cleft: Floats, store: Floats, release: Floats) -> None:
    """One step of Meddis' hair cell for all places (Meddis 1986, explicit Euler, all stores kept >= 0).

    velocity (places,) of the membrane; pool q, cleft c and reprocessing store w (places,) are advanced in
    place; release (places,) becomes each fibre's chance of a spike in this step.
    """
    for place in range(velocity.size):
        shifted = velocity[place] + _A
        permeability = _G * shifted / (shifted + _B) if shifted > 0.0 else 0.0
        q, c, w = pool[place], cleft[place], store[place]
        ejected = permeability * STEP * q
        returned = _RETURN * STEP * c
        reprocessed = _REPROCESS * STEP * w
        made = max(_MAKE * STEP * (1.0 - q), 0.0)
        pool[place] = max(q + made - ejected + reprocessed, 0.0)
        cleft[place] = max(c + ejected - _LOSE * STEP * c - returned, 0.0)
        store[place] = max(w + returned - reprocessed, 0.0)
        release[place] = _H * cleft[place] * STEP


@njit(cache=True, error_model="numpy")
def rest(places: int) -> tuple[Floats, Floats, Floats]:
    """The hair cell's stores q, c and w (places,) each, in the steady state of a quiet membrane."""
    permeability = _G * _A / (_A + _B)
    cleft = _MAKE * permeability / (_LOSE * permeability + _MAKE * (_LOSE + _RETURN))
    pool = cleft * (_LOSE + _RETURN) / permeability
    store = cleft * _RETURN / _REPROCESS
    return np.full(places, pool), np.full(places, cleft), np.full(places, store)


@njit(cache=True, error_model="numpy")
def fibres(seed: np.uint64, step: int, first_unit: int, release: Floats, free: Floats, fired: Floats) -> None:
    """One step of the nerve fibres of all places; those of a place are alike, so one draw does for all of them.

    release (places,) is each fibre's chance of a spike; free (places,) counts the fibres that do not rest. fired
    (places,) has the spikes of 1 ms ago, whose fibres become free, and gets the spikes of this step.
    """
    draws = np.empty(release.size)
    for place in range(release.size):
        free[place] += fired[place]
        fired[place] = 0.0
        draws[place] = _uniform(seed, np.uint64(first_unit + place) * np.uint64(2**32) + np.uint64(step))
    for place in range(release.size):
        # free x release is a bound on the chance of any spike, which spares most of the work
        if draws[place] < free[place] * release[place]:
            fired[place] = _binomial(draws[place], free[place], release[place])
            free[place] -= fired[place]


@njit(cache=True, error_model="numpy")
def bushy_cells(fired: Floats, current: Floats, membrane: Floats, waiting: Floats) -> bool:
    """One step of the bushy cells of all places; returns whether any is above its threshold of 1.

    fired (places,) spikes of the fibres; current, membrane and the steps still to rest, waiting, (places,) each, are
    advanced in place.
    """
    highest = 0.0
    for place in range(fired.size):
        current[place] = current[place] * _SYNAPSE_DECAY + fired[place]
        integrated = membrane[place] * _MEMBRANE_DECAY + _WEIGHT / _FIBRES * STEP * current[place]
        membrane[place] = integrated if waiting[place] <= 0.0 else 0.0
        waiting[place] -= 1.0
        highest = max(highest, membrane[place])
    return highest > 1.0


@njit(cache=True, error_model="numpy")
def bushy_spikes(
    velocity: NDArray[np.float32], seed: np.uint64, first_unit: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Hair cells, fibres and bushy cells of one block of places, through the whole sound.

    velocity (steps, places); returns the spikes' steps (E,) and units (E,), int64, by time.
    """
    steps, places = velocity.shape
    pool, cleft, store = rest(places)
    release = np.empty(places)
    free = np.full(places, np.float64(_FIBRES))
    fired = np.zeros((_REFRACTORY_STEPS, places))
    current, membrane, waiting = np.zeros(places), np.zeros(places), np.zeros(places)
    spike_steps = [0 for _ in range(0)]  # typed and empty, which numba cannot tell of []
    spike_units = [0 for _ in range(0)]
    for step in range(steps):
        slot = step % _REFRACTORY_STEPS
        hair_cells(velocity[step], pool, cleft, store, release)
        fibres(seed, step, first_unit, release, free, fired[slot])
        if bushy_cells(fired[slot], current, membrane, waiting):
            for place in range(places):
                if membrane[place] > 1.0:
                    membrane[place] = 0.0
                    waiting[place] = _REFRACTORY_STEPS
                    spike_steps.append(step)
                    spike_units.append(first_unit + place)
    return np.array(spike_steps), np.array(spike_units)
