"""Synthetic speech: speakers drawn from a seed, sounds that depend on their arguments only."""

import sys
from collections.abc import Iterator

import numpy as np
import pytest

from snnrun.data.speech import ENGLISH, SAMPLE_RATE, WORDS, Synthesizer, draw_speaker, draw_utterance
from snnrun.errors import RunError, UserError


@pytest.fixture(scope="module")
def synthesizer() -> Iterator[Synthesizer]:
    pytest.importorskip("espeakng_loader")
    with Synthesizer() as open_synthesizer:
        yield open_synthesizer


def say(synthesizer: Synthesizer, number: int, text: str = "seven", language: str = "en", seed: int = 1) -> np.ndarray:
    speaker = draw_speaker(0, number)
    sound, rate = synthesizer.say(speaker, language=language, text=text, tempo=150, pitch=50, pitch_range=50, seed=seed)
    assert rate == 22_050
    return sound


def test_twenty_words() -> None:
    assert len(WORDS) == 20
    assert (WORDS[0], WORDS[9], WORDS[10], WORDS[19]) == ("zero", "nine", "null", "neun")


def test_a_speaker_is_a_function_of_seed_and_number() -> None:
    assert draw_speaker(3, 17) == draw_speaker(3, 17)
    assert draw_speaker(3, 17).voice != draw_speaker(4, 17).voice
    assert draw_speaker(3, 17).voice != draw_speaker(3, 19).voice


def test_many_speakers_differ_in_gender_accent_and_voice() -> None:
    speakers = [draw_speaker(0, number) for number in range(100)]
    assert len({speaker.voice for speaker in speakers}) == 100
    assert len({speaker.accent for speaker in speakers}) == 8
    assert sum(speaker.gender == "female" for speaker in speakers) == 50


def test_a_sound_does_not_depend_on_what_was_said_before(synthesizer: Synthesizer) -> None:
    first = say(synthesizer, 1)
    say(synthesizer, 2, "fünf", "de")
    assert np.array_equal(first, say(synthesizer, 1))


def test_the_seed_changes_the_breath(synthesizer: Synthesizer) -> None:
    breathy = next(number for number in range(20) if "breath" in draw_speaker(0, number).voice)
    assert not np.array_equal(say(synthesizer, breathy, seed=1), say(synthesizer, breathy, seed=2))


def test_words_accents_and_speakers_sound_different(synthesizer: Synthesizer) -> None:
    sounds = [
        say(synthesizer, 1),
        say(synthesizer, 3),
        say(synthesizer, 1, "nine"),
        say(synthesizer, 1, language="en-GB-scotland"),
    ]
    assert len({sound.tobytes() for sound in sounds}) == 4
    assert all(0.1 < np.abs(sound).max() <= 1 for sound in sounds)


def test_utterances_are_short_audible_and_vary(synthesizer: Synthesizer) -> None:
    speaker = draw_speaker(0, 5)
    for label in (0, len(ENGLISH)):
        takes = [draw_utterance(synthesizer, speaker, label, np.random.default_rng(take)) for take in range(3)]
        assert all(0.15 < take.size / SAMPLE_RATE < 0.95 for take in takes)
        assert all(np.isfinite(take).all() and np.abs(take).max() > 0.01 for take in takes)
        assert len({take.tobytes() for take in takes}) == 3


def test_an_unknown_language_is_an_error(synthesizer: Synthesizer) -> None:
    with pytest.raises(RunError, match="cannot speak xx-none"):
        say(synthesizer, 1, language="xx-none")


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    with pytest.raises(UserError, match=r"pip install 'snnrun\[speech\]'"):
        Synthesizer()
