"""The table of hyper-parameters of a sweep, read back through TensorBoard's own backend."""

from pathlib import Path

import pytest
from tensorboard.backend.event_processing import data_provider, plugin_event_multiplexer
from tensorboard.context import RequestContext
from tensorboard.plugins.base_plugin import TBContext
from tensorboard.plugins.hparams import api_pb2, backend_context, list_session_groups

from snnrun.tensorboard import Board, describe_sweep


def config(shape: str, beta: float, seed: int) -> dict:
    surrogate, dataset = {"name": shape, "beta": beta}, {"split_seed": seed}
    return {"seed": seed, "surrogate": surrogate, "dataset": dataset, "training": {"epochs": 2}}


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    """Three jobs of a sweep that differ in shape, slope and seed."""
    jobs = [config("sigmoid", 5.0, 1), config("superspike", 10.0, 1), config("superspike", 100.0, 2)]
    describe_sweep(tmp_path, jobs, complete=True)
    for number, job in enumerate(jobs):
        folder = tmp_path / f"job{number}"
        folder.mkdir()
        with Board(folder) as board:
            board.start(job, {})
            board.scalars({"accuracy/valid_best": 0.1 * number, "loss/valid": 1.0}, 2)
            board.finish("done" if number else "failed")
    return tmp_path


@pytest.fixture
def experiment(sweep: Path) -> tuple[backend_context.Context, api_pb2.Experiment]:
    """What TensorBoard makes of the folder, and what asks it for rows."""
    multiplexer = plugin_event_multiplexer.EventMultiplexer()
    multiplexer.AddRunsFromDirectory(str(sweep))
    multiplexer.Reload()
    context = backend_context.Context(TBContext(data_provider=data_provider.MultiplexerDataProvider(multiplexer, "")))
    metadata = context.hparams_metadata(RequestContext(), "")
    return context, context.experiment_from_metadata(RequestContext(), "", True, metadata, [])


def test_the_columns_are_what_varies_and_the_headlines(experiment):
    _, described = experiment
    columns = {info.name: list(info.domain_discrete) for info in described.hparam_infos}
    assert {name: len(values) for name, values in columns.items()} == {
        "seed": 2, "surrogate.name": 2, "surrogate.beta": 3,
    }  # fmt: skip
    tags = [info.name.tag for info in described.metric_infos]
    assert tags == ["accuracy/valid_best", "accuracy/test", "loss/valid", "time/epoch_s"]


def test_every_job_is_a_row_with_its_figures(experiment):
    context, _ = experiment
    columns = [api_pb2.ColParams(metric=api_pb2.MetricName(tag="accuracy/valid_best"))]
    statuses = [api_pb2.STATUS_SUCCESS, api_pb2.STATUS_FAILURE]
    asked = api_pb2.ListSessionGroupsRequest(
        allowed_statuses=statuses, col_params=columns, slice_size=10, include_metrics=True
    )
    rows = {}
    for group in list_session_groups.Handler(RequestContext(), context, "", asked).run().session_groups:
        key = group.hparams["surrogate.name"].string_value, group.hparams["surrogate.beta"].number_value
        rows[key] = {metric.name.tag: metric.value for metric in group.metric_values}, group.sessions[0].status
    assert set(rows) == {("sigmoid", 5.0), ("superspike", 10.0), ("superspike", 100.0)}
    figures, status = rows["superspike", 100.0]
    assert figures["accuracy/valid_best"] == pytest.approx(0.2)
    assert status == api_pb2.STATUS_SUCCESS
    assert rows["sigmoid", 5.0][1] == api_pb2.STATUS_FAILURE
