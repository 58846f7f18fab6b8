"""What a daemon runs: the version, the model, the engine."""

import platform
from collections.abc import Sequence
from dataclasses import dataclass

import retempo
from retempo.runtime.deployment import Deployment

_PROVIDERS = {"onnx": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}


@dataclass(frozen=True, slots=True)
class Facts:
    """What does not change while a model is in force."""

    model: str
    sha256: str
    engine: str
    provider: str
    method: str
    policy: str
    dt_us: int
    labels: Sequence[str]
    version: str = retempo.__version__
    python: str = platform.python_version()


def facts_of(deployment: Deployment) -> Facts:
    """Return what is in force."""
    engine = deployment.engine
    return Facts(
        model=deployment.model.name,
        sha256=deployment.model.sha256,
        engine=engine.name,
        provider=_PROVIDERS.get(engine.name, "none"),
        method=engine.resolution.method,
        policy=deployment.overload.policy,
        dt_us=engine.resolution.dt_us,
        labels=deployment.model.contract.network.labels,
    )
