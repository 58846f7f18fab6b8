"""A session of ONNX Runtime and the bindings of its tensors."""

from collections.abc import Mapping, Sequence
from typing import Any

from retempo.exporters.step_model import StepModel
from retempo.runtime.engine import Vector
from retempo.runtime.errors import EngineError

try:
    import onnxruntime
except ImportError as error:  # pragma: no cover - the extras install it
    raise EngineError(
        "ONNX Runtime is missing; install retempo[cpu], or retempo[gpu] on a machine with CUDA"
    ) from error

__all__ = ["bind", "onnxruntime", "open_session"]

_ERROR_ONLY = 3


def open_session(
    model: StepModel,
    content: bytes,
    providers: Sequence[str | tuple[str, Mapping[str, str]]],
    entries: Mapping[str, str] | None = None,
) -> Any:
    """Open the graph of a model.

    Args:
        model: for messages.
        content: the graph.
        providers: what ONNX Runtime shall compute it with.
        entries: of the session's configuration.

    Raises:
        EngineError: ONNX Runtime refuses it.
    """
    options = onnxruntime.SessionOptions()
    # Default threads spin: they burn most of a core at a thousand steps a second.
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = _ERROR_ONLY
    for key, value in (entries or {}).items():
        options.add_session_config_entry(key, value)
    try:
        return onnxruntime.InferenceSession(content, options, providers=list(providers))
    except Exception as error:  # ONNX Runtime raises its own family and bare ones alike
        reason = str(error).strip().splitlines()[0]
        raise EngineError(f"ONNX Runtime refuses {model.name}: {reason}") from error


def bind(session: Any, inputs: Mapping[str, Vector], outputs: Mapping[str, Vector]) -> Any:
    """Return a binding of arrays on the CPU, in place; they must outlive it."""
    binding = session.io_binding()
    for name, array in inputs.items():
        binding.bind_ortvalue_input(name, onnxruntime.OrtValue.ortvalue_from_numpy(array))
    for name, array in outputs.items():
        binding.bind_ortvalue_output(name, onnxruntime.OrtValue.ortvalue_from_numpy(array))
    return binding
