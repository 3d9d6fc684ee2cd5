"""What a run's event file holds, read back by TensorBoard's own reader."""

import io
import subprocess
import sys
from pathlib import Path
from typing import Any

import matplotlib.image
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.custom_scalar.layout_pb2 import Layout
from tensorboard.plugins.hparams.api_pb2 import STATUS_FAILURE, STATUS_SUCCESS
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

from snnrun import figures
from snnrun.surrogates import Surrogate
from snnrun.tensorboard import Board, hyper_parameters

CONFIG = {
    "beta": None, "seed": 3, "output_dir": "outputs", "deterministic": True, "name": None, "tags": ["x"],
    "surrogate": {"name": "sigmoid", "beta": 5}, "network": {"hidden": (200, 100)},
}  # fmt: skip


def read(folder: Path) -> EventAccumulator:
    return EventAccumulator(str(folder), size_guidance={"scalars": 0, "images": 0}).Reload()


def string(events: EventAccumulator, tag: str) -> bytes:
    (event,) = events.Tensors(tag)
    (content,) = event.tensor_proto.string_val
    assert isinstance(content, bytes)
    return content


def plugin(events: EventAccumulator, tag: str) -> Any:
    return HParamsPluginData.FromString(events.PluginTagToContent("hparams")[f"_hparams_/{tag}"])


def test_scalars_have_their_tags_epochs_and_values(tmp_path: Path) -> None:
    with Board(tmp_path) as board:
        for epoch in (1, 2, 3):
            board.scalars({"loss/train": 1 / epoch, "rate_hz/hidden1": 12.5, "accuracy/valid": None}, epoch)
    events = read(tmp_path)
    assert events.Tags()["scalars"] == ["loss/train", "rate_hz/hidden1"]
    assert [(e.step, e.value) for e in events.Scalars("loss/train")] == [
        (epoch, pytest.approx(1 / epoch)) for epoch in (1, 2, 3)
    ]


def test_scalars_can_be_read_before_the_run_ends(tmp_path: Path) -> None:
    with Board(tmp_path) as board:
        board.scalars({"lr": 0.1}, 1)
        assert len(read(tmp_path).Scalars("lr")) == 1


@pytest.mark.parametrize("tag", ["acc/train", "loss", "rate_hz/", "loss/train/x"])
def test_a_tag_that_no_run_has_is_refused(tmp_path: Path, tag: str) -> None:
    with Board(tmp_path) as board, pytest.raises(ValueError, match=tag):
        board.scalars({tag: 1.0}, 1)


def test_texts_show_the_config_and_the_environment(tmp_path: Path) -> None:
    with Board(tmp_path) as board:
        board.start(CONFIG, {"host": "a|b", "cuda": None, "versions": {"torch": "2.6"}})
    events = read(tmp_path)
    config = string(events, "config").decode()
    assert config.startswith("```yaml\n")
    assert config.endswith("\n```")
    assert "surrogate:\n  name: sigmoid\n  beta: 5\n" in config
    table = string(events, "environment").decode().splitlines()
    assert table == ["| | |", "| --- | --- |", "| host | a\\|b |", "| versions.torch | 2.6 |"]


def test_train_and_valid_share_a_chart(tmp_path: Path) -> None:
    with Board(tmp_path) as board:
        board.start(CONFIG, {})
    layout = Layout.FromString(string(read(tmp_path), "custom_scalars__config__"))
    assert [(chart.title, list(chart.multiline.tag)) for chart in layout.category[0].chart] == [
        ("loss", ["loss/(train|valid)$"]),
        ("accuracy", ["accuracy/(train|valid)$"]),
    ]


def test_hyper_parameters_are_numbers_or_texts_and_only_what_can_vary() -> None:
    assert hyper_parameters(CONFIG) == {
        "seed": 3.0,
        "deterministic": "true",
        "surrogate.name": "sigmoid",
        "surrogate.beta": 5.0,
        "network.hidden": "[200, 100]",
    }


@pytest.mark.parametrize(("status", "code"), [("done", STATUS_SUCCESS), ("failed", STATUS_FAILURE)])
def test_a_session_starts_and_ends_and_no_run_holds_an_experiment(tmp_path: Path, status: Any, code: int) -> None:
    with Board(tmp_path) as board:
        board.start(CONFIG, {})
        board.finish(status)
    events = read(tmp_path)
    start = plugin(events, "session_start_info").session_start_info
    assert start.hparams["surrogate.beta"].number_value == 5
    assert start.hparams["deterministic"].string_value == "true"
    end = plugin(events, "session_end_info").session_end_info
    assert end.status == code
    assert end.end_time_secs >= start.start_time_secs > 0
    assert set(events.PluginTagToContent("hparams")) == {"_hparams_/session_start_info", "_hparams_/session_end_info"}


def test_pictures_come_back_pixel_for_pixel(tmp_path: Path) -> None:
    png = figures.png(figures.surrogate_curve(Surrogate("sigmoid", 5.0)))
    with Board(tmp_path) as board:
        board.image("surrogate", png, 0)
    (image,) = read(tmp_path).Images("surrogate")
    assert image.encoded_image_string == png
    height, width, _ = matplotlib.image.imread(io.BytesIO(png), format="png").shape
    assert (image.height, image.width) == (height, width)


def test_a_histogram_counts_every_value(tmp_path: Path) -> None:
    values = torch.randn(50, 20, generator=torch.Generator().manual_seed(0))
    with Board(tmp_path) as board:
        board.histogram("weights/hidden1", values, 1)
        board.histogram("tau_mem_ms/hidden1", torch.full((5,), 20.0), 1)
    events = read(tmp_path)
    (event,) = events.Histograms("weights/hidden1")
    content = event.histogram_value
    assert content.num == sum(content.bucket) == 1000
    assert content.sum == pytest.approx(float(values.double().sum()))
    assert content.sum_squares == pytest.approx(float(values.double().square().sum()))
    assert (content.bucket_limit[0], content.bucket_limit[-1]) == (content.min, content.max)
    below_zero = sum(n for n, limit in zip(content.bucket, content.bucket_limit, strict=True) if limit <= 0)
    assert below_zero == pytest.approx(int((values < 0).sum()), abs=content.num / 20)
    assert events.Histograms("tau_mem_ms/hidden1")[0].histogram_value.num == 5


def test_a_histogram_leaves_out_what_is_not_finite(tmp_path: Path) -> None:
    with Board(tmp_path) as board:
        board.histogram("weights/hidden1", torch.tensor([1.0, float("nan"), float("inf"), 2.0]), 1)
        board.histogram("weights/hidden2", torch.full((3,), float("nan")), 1)
    events = read(tmp_path)
    assert events.Histograms("weights/hidden1")[0].histogram_value.num == 2
    assert events.Histograms("weights/hidden2")[0].histogram_value.num == 0


def test_a_resumed_run_continues_its_curve(tmp_path: Path) -> None:
    with Board(tmp_path) as board:
        board.start(CONFIG, {})
        for epoch in range(1, 6):
            board.scalars({"loss/train": float(epoch)}, epoch)
    with Board(tmp_path, resume_epoch=4) as board:
        for epoch in range(4, 7):
            board.scalars({"loss/train": 10.0 * epoch}, epoch)
    events = read(tmp_path)
    assert [(e.step, e.value) for e in events.Scalars("loss/train")] == [
        (1, 1), (2, 2), (3, 3), (4, 40), (5, 50), (6, 60),
    ]  # fmt: skip
    assert plugin(events, "session_start_info").session_start_info.hparams["seed"].number_value == 3


def test_neither_torch_nor_tensorflow_is_imported_to_write_events(tmp_path: Path) -> None:
    (tmp_path / "tensorflow.py").write_text("raise SystemExit('TensorFlow was imported')\n")
    code = (
        "import sys, pathlib; from snnrun.tensorboard import Board\n"
        "with Board(pathlib.Path(sys.argv[1])) as board:\n"
        "    board.start({'seed': 0}, {})\n"
        "    board.scalars({'lr': 1.0}, 1)\n"
        "    board.finish('done')\n"
        "assert 'torch' not in sys.modules"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    subprocess.run(command, check=True, env={"PYTHONPATH": f"{tmp_path}:{Path(__file__).parents[2]}"})
