"""Summary protocol buffers, as TensorBoard's plugins read them. Made here, since torch's makers import much more."""

import time
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

HISTOGRAM_BINS = 64


def scalar(tag: str, value: float) -> Any:
    """One number; TensorBoard keeps float32."""
    from tensorboard.compat.proto.summary_pb2 import Summary

    return Summary(value=[Summary.Value(tag=tag, simple_value=value)])


def histogram(tag: str, values: NDArray[np.floating[Any]]) -> Any:
    """The distribution of the finite ones of `values`, of any shape."""
    from tensorboard.compat.proto.summary_pb2 import HistogramProto, Summary

    flat = values[np.isfinite(values)].astype(np.float64)
    counts, edges = np.histogram(flat, bins=HISTOGRAM_BINS)
    content = HistogramProto(
        min=edges[0],
        max=edges[-1],
        num=len(flat),
        sum=flat.sum(),
        sum_squares=(flat**2).sum(),
        # A bucket reaches from the limit before it, so the first, empty one gives the left edge.
        bucket_limit=edges.tolist(),
        bucket=[0.0, *counts.tolist()],
    )
    return Summary(value=[Summary.Value(tag=tag, histo=content)])


def picture(tag: str, png: bytes) -> Any:
    """A PNG file."""
    from tensorboard.compat.proto.summary_pb2 import Summary

    width, height = (int.from_bytes(png[start : start + 4], "big") for start in (16, 20))
    image = Summary.Image(height=height, width=width, colorspace=4, encoded_image_string=png)
    return Summary(value=[Summary.Value(tag=tag, image=image)])


def text(tag: str, markdown: str) -> Any:
    """A text in Markdown."""
    from tensorboard.plugins.text.plugin_data_pb2 import TextPluginData

    return _strings(tag, markdown.encode(), "text", TextPluginData(version=0).SerializeToString())


def chart_layout(charts: Mapping[str, str]) -> Any:
    """Charts that hold several curves each: title -> pattern of tags. One layout for each event file."""
    from tensorboard.plugins.custom_scalar import layout_pb2

    multiline = layout_pb2.MultilineChartContent
    lines = [layout_pb2.Chart(title=title, multiline=multiline(tag=[tags])) for title, tags in charts.items()]
    layout = layout_pb2.Layout(category=[layout_pb2.Category(title="train and valid", chart=lines)])
    return _strings("custom_scalars__config__", layout.SerializeToString(), "custom_scalars", b"")


def session_start(parameters: Mapping[str, float | str]) -> Any:
    """The start of a row in the table of hyper-parameters."""
    from tensorboard.plugins.hparams.metadata import SESSION_START_INFO_TAG
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData, SessionStartInfo

    info = SessionStartInfo(start_time_secs=time.time())
    for key, value in parameters.items():
        if isinstance(value, str):
            info.hparams[key].string_value = value
        else:
            info.hparams[key].number_value = value
    return _hparams(SESSION_START_INFO_TAG, HParamsPluginData(session_start_info=info))


def session_end(status: Literal["done", "failed"]) -> Any:
    """The end of a row in the table of hyper-parameters."""
    from tensorboard.plugins.hparams import api_pb2
    from tensorboard.plugins.hparams.metadata import SESSION_END_INFO_TAG
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData, SessionEndInfo

    code = api_pb2.STATUS_SUCCESS if status == "done" else api_pb2.STATUS_FAILURE
    info = SessionEndInfo(status=code, end_time_secs=time.time())
    return _hparams(SESSION_END_INFO_TAG, HParamsPluginData(session_end_info=info))


def experiment(columns: Mapping[str, Sequence[float | str]], metrics: Mapping[str, str], complete: bool) -> Any:
    """What the table of hyper-parameters shows of a whole sweep.

    Args:
        columns: the hyper-parameters with the values that they take, numbers or texts.
        metrics: tags of scalars and their titles.
        complete: whether numbers take no other values.
    """
    from tensorboard.plugins.hparams import api_pb2
    from tensorboard.plugins.hparams.metadata import EXPERIMENT_TAG
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

    described = api_pb2.Experiment(time_created_secs=time.time())
    for name, values in columns.items():
        texts = any(isinstance(value, str) for value in values)
        info = described.hparam_infos.add(name=name)
        info.type = api_pb2.DATA_TYPE_STRING if texts else api_pb2.DATA_TYPE_FLOAT64
        if texts or complete:
            info.domain_discrete.extend(values)
    for tag, title in metrics.items():
        described.metric_infos.add(name=api_pb2.MetricName(tag=tag), display_name=title)
    return _hparams(EXPERIMENT_TAG, HParamsPluginData(experiment=described))


def _hparams(tag: str, content: Any) -> Any:
    from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
    from tensorboard.plugins.hparams.metadata import PLUGIN_DATA_VERSION, PLUGIN_NAME

    content.version = PLUGIN_DATA_VERSION
    data = SummaryMetadata.PluginData(plugin_name=PLUGIN_NAME, content=content.SerializeToString())
    return Summary(value=[Summary.Value(tag=tag, metadata=SummaryMetadata(plugin_data=data))])


def _strings(tag: str, value: bytes, plugin: str, content: bytes) -> Any:
    """One string as a tensor, which is how the plugins for text and for layouts get theirs."""
    from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
    from tensorboard.compat.proto.tensor_pb2 import TensorProto
    from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto

    data = SummaryMetadata.PluginData(plugin_name=plugin, content=content)
    shape = TensorShapeProto(dim=[TensorShapeProto.Dim(size=1)])
    tensor = TensorProto(dtype="DT_STRING", string_val=[value], tensor_shape=shape)
    return Summary(value=[Summary.Value(tag=tag, tensor=tensor, metadata=SummaryMetadata(plugin_data=data))])
