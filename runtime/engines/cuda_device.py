"""Whether this machine has a GPU that CUDA can use, asked of the driver itself.

ONNX Runtime lists CUDA wherever it was built with it, and complains on stderr where none is there.
"""

import ctypes

_DRIVER = "libcuda.so.1"


def no_device() -> str | None:
    """Return why no GPU can be had, None where one is there."""
    try:
        driver = ctypes.CDLL(_DRIVER)
    except OSError:
        return f"there is no NVIDIA driver here ({_DRIVER})"
    failed = driver.cuInit(0)
    count = ctypes.c_int()
    if not failed:
        failed = driver.cuDeviceGetCount(ctypes.byref(count))
    if failed:
        return f"the NVIDIA driver fails with error {failed}, see nvidia-smi"
    return None if count.value else "the NVIDIA driver finds no GPU"
