"""A simulated event camera that looks at a still image with saccades."""

from retempo.sensors.simulated.camera import CameraParameters, SimulatedCamera, record
from retempo.sensors.simulated.scenes import digit_image, upscale

__all__ = ["CameraParameters", "SimulatedCamera", "digit_image", "record", "upscale"]
