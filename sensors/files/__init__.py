"""Recorded event files: one file a format, one line of `registry.FORMATS` each."""

from retempo.sensors.collect import read_all
from retempo.sensors.files.nmnist import write_nmnist
from retempo.sensors.files.recording import Recording
from retempo.sensors.files.registry import FORMATS, open_recording

__all__ = ["FORMATS", "Recording", "open_recording", "read_all", "write_nmnist"]
