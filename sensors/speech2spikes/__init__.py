"""Mel bands to events by delta modulation, as in the Speech2Spikes pipeline.

Source: Stewart, Shea, Pacik-Nelson, Gallo, Danielescu, Speech2Spikes: Efficient Audio Encoding
Pipeline for Real-time Neuromorphic Systems, 2023 (doi 10.1145/3584954.3584995). docs/cochlea.md has
the equations and where this differs.
"""

from retempo.sensors.speech2spikes.hearing import EAR
from retempo.sensors.speech2spikes.spec import Speech2SpikesSpec

__all__ = ["EAR", "Speech2SpikesSpec"]
