"""Folders of sounds: what names mean, what is refused, and that an encoding is done once and goes on where it was."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.io import wavfile

from snnrun.data import load, sounds
from snnrun.data.cochlea import Cochlea
from snnrun.data.hdf5 import read
from snnrun.data.sounds import encode_folder, list_sounds, make_wav_folder, read_wav
from snnrun.errors import UserError

RATE = 8000


@pytest.fixture(autouse=True)
def few_places(monkeypatch):
    monkeypatch.setattr(sounds, "SETTINGS", Cochlea(places=20))


def tone(path, hertz=300.0, seconds=0.05, rate=RATE):
    path.parent.mkdir(parents=True, exist_ok=True)
    time = np.arange(int(seconds * rate)) / rate
    wavfile.write(path, rate, (10_000 * np.sin(2 * np.pi * hertz * time)).astype(np.int16))
    return path


@pytest.fixture
def flat(tmp_path):
    """Two digits by four speakers, twice each, in one folder."""
    for digit in (3, 7):
        for who in ("ann", "bob", "cyd", "dan"):
            for take in (0, 1):
                tone(tmp_path / "recordings" / f"{digit}_{who}_{take}.wav", 200 * digit + 10 * take)
    return tmp_path / "recordings"


@pytest.fixture
def sound_options(options, flat):
    keys = {"name": "wav_folder", "root": str(flat), "jobs": 1, "test_speakers": None, "test_fraction": 0.25}
    return lambda **changed: options(**(keys | changed))


def test_names_tell_class_and_speaker(flat, tmp_path):
    first = list_sounds(flat)[0]
    assert (first.label, first.speaker) == ("3", "ann")
    tone(tmp_path / "words" / "yes" / "eve_1.WAV")
    tone(tmp_path / "words" / "no" / "fay.wav")
    found = [(sound.label, sound.speaker) for sound in list_sounds(tmp_path / "words")]
    assert found == [("no", "fay"), ("yes", "eve")]


def test_speakers_are_held_out_for_testing_and_for_validation(sound_options):
    data = load(sound_options(), 0)
    assert {name: len(part) for name, part in data.parts().items()} == {"train": 8, "valid": 4, "test": 4}
    assert data.classes == ("3", "7")
    assert data.channels == 20
    parts = [set(part.speakers) for part in data.parts().values()]
    assert sum(map(len, parts)) == len(set.union(*parts)) == 4
    together = [index for indices in data.split().values() for index in indices]
    assert sorted(together) == list(range(16))
    assert data.train.time.size > 100


def test_named_speakers_are_tested_on(sound_options):
    data = load(sound_options(test_speakers=("cyd",)), 0)
    assert set(data.test.speakers) == {2}
    assert "test: 4 samples of the speakers cyd" in data.log
    with pytest.raises(UserError, match=r"dataset.test_speakers: 'anna' speaks in no file; .*did you mean ann"):
        load(sound_options(test_speakers=("anna",)), 0)


def test_a_set_is_encoded_once(sound_options, monkeypatch):
    first = load(sound_options(), 0)
    monkeypatch.setattr(sounds, "encode", None)
    np.testing.assert_array_equal(load(sound_options(), 0).train.time, first.train.time)


def test_an_encoding_goes_on_where_it_was_stopped(flat, tmp_path, monkeypatch):
    encode_folder(flat, tmp_path / "whole.h5", 1)
    monkeypatch.setattr("snnrun.data.encoding._PART", 4)
    calls = []
    encode = sounds.encode

    def stopped(*arguments):
        calls.append(1)
        if len(calls) == 10:
            raise KeyboardInterrupt
        return encode(*arguments)

    monkeypatch.setattr(sounds, "encode", stopped)
    with pytest.raises(KeyboardInterrupt):
        encode_folder(flat, tmp_path / "stopped.h5", 1)
    encode_folder(flat, tmp_path / "stopped.h5", 1)
    assert len(calls) == 10 + 8  # two parts of four were kept
    first, second = read(tmp_path / "whole.h5"), read(tmp_path / "stopped.h5")
    np.testing.assert_array_equal(first.time, second.time)
    np.testing.assert_array_equal(first.unit, second.unit)
    assert not list(tmp_path.glob(".stopped*"))


def test_made_from_the_command_line(flat, tmp_path):
    (path,) = make_wav_folder(str(flat), str(tmp_path / "out"))
    assert path == tmp_path / "out" / "recordings.h5"
    spikes = read(path)
    assert spikes.speaker_names == ("ann", "bob", "cyd", "dan")
    assert spikes.channels == 20


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda path: path.write_bytes(b"no sound"), "is no WAV file that can be read"),
        (lambda path: path.write_bytes(b""), "is no WAV file that can be read"),
        (lambda path: wavfile.write(path, RATE, np.ones((100, 2), np.int16)), "has 2 channels; expected one"),
        (lambda path: tone(path, rate=100, seconds=2), "has a sample rate of 100 Hz; expected 4000 to"),
        (lambda path: wavfile.write(path, RATE, np.full(9, np.nan, np.float32)), "not finite"),
        (lambda path: wavfile.write(path, RATE, np.zeros(900, np.int16)), "the sound is silent"),
    ],
)
def test_a_bad_sound_is_named(flat, tmp_path, write, message):
    write(flat / "3_ann_0.wav")
    with pytest.raises(UserError, match=f"3_ann_0.wav: .*{message}") as failure:
        encode_folder(flat, tmp_path / "a.h5", 1)
    assert "\n" not in str(failure.value)


def test_folders_without_sounds_or_with_other_names(tmp_path):
    with pytest.raises(UserError, match=r"holds no .wav files; expected one sub-folder a class"):
        list_sounds(tmp_path)
    tone(tmp_path / "seven.wav")
    with pytest.raises(UserError, match=r"seven.wav: its name does not tell class and speaker"):
        list_sounds(tmp_path)
    with pytest.raises(UserError, match="no such folder"):
        list_sounds(tmp_path / "nowhere")


def test_bytes_are_centred(tmp_path):
    wavfile.write(tmp_path / "a.wav", RATE, np.array([128, 255, 0], np.uint8))
    assert read_wav(tmp_path / "a.wav")[0].tolist() == [0, 127, -128]


def test_human_digits_tells_what_to_bring(options, tmp_path):
    section = options(name="human_digits", root=str(tmp_path), jobs=1, test_speakers=None, test_fraction=0.2)
    with pytest.raises(UserError, match=r"recordings is missing; run `snnrun data fetch human_digits`, or bring https"):
        load(section, 0)


def wav_bytes():
    import io

    buffer = io.BytesIO()
    wavfile.write(buffer, RATE, np.arange(50, dtype=np.int16))
    return buffer.getvalue()


GOOD = wav_bytes()


@given(
    changes=st.lists(st.tuples(st.integers(0, len(GOOD) - 1), st.integers(0, 255)), max_size=5),
    length=st.none() | st.integers(0, len(GOOD)),
)
def test_any_damage_gives_a_sound_or_one_line(tmp_path_factory, changes, length):
    content = bytearray(GOOD)
    for place, value in changes:
        content[place] = value
    path = tmp_path_factory.getbasetemp() / "fuzzed.wav"
    path.write_bytes(bytes(content[:length]))
    message = "fuzzed.wav: "
    try:
        sound, rate = read_wav(path)
        assert sound.ndim == 1
        assert np.isfinite(sound).all()
        assert rate >= 4000
    except UserError as failure:
        message = str(failure)
    assert "fuzzed.wav: " in message
    assert "\n" not in message
