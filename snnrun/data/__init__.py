"""Spike trains: data sets in memory, batches, and where they come from."""

from snnrun.data import event_cameras, generated, images, sound_sources, spike_files
from snnrun.data.dataset import Dataset
from snnrun.data.loading import load
from snnrun.data.sources import SOURCES

SOURCE_MODULES = (event_cameras, generated, images, sound_sources, spike_files)  # each puts its data sets into SOURCES

__all__ = ["SOURCES", "Dataset", "load"]
