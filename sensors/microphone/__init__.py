"""Microphones: `devices` lists them, `text` opens one, `source` hears it."""

from retempo.sensors.microphone.devices import Input, list_microphones
from retempo.sensors.microphone.source import Microphone
from retempo.sensors.microphone.text import hear_microphone, open_microphone

__all__ = ["Input", "Microphone", "hear_microphone", "list_microphones", "open_microphone"]
