"""What `retempo serve` is configured with: one TOML file, read by `runtime.config.load_config`."""

from typing import Annotated, Literal

import msgspec

from retempo.runtime.decision_history import HISTORY_BYTES
from retempo.runtime.feed import MAX_WINDOW, WINDOW
from retempo.runtime.overload import Policy
from retempo.sensors.filters.registry import AnySettings

_Address = Annotated[int, msgspec.Meta(ge=0, le=65_535)]


class FeedConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where events come in, and how many messages a sender may have on the way, a stream.

    `grace` is how long the stream of a sender that is gone is kept for it to come back.
    """

    bind: str = "tcp://127.0.0.1:7710"
    window: Annotated[int, msgspec.Meta(ge=1, le=MAX_WINDOW)] = WINDOW
    grace: str = "10s"


class DecisionsConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where decisions go out, how often, and in what form.

    `every` is `bin`, `change` (of the label) or a duration. The latest `history` bytes are kept for
    subscribers that missed some.
    """

    bind: str = "tcp://127.0.0.1:7711"
    every: str = "bin"
    format: Literal["json", "msgpack"] = "json"
    history: Annotated[int, msgspec.Meta(ge=0)] = HISTORY_BYTES


class InputConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How events come to the bins.

    `filter` lists the filters that every stream passes first, in their order, a table each with its
    `kind`. `mask` names addresses to ignore behind them: `[x, y]` or `[channel]`. `lateness` is how
    long to wait for late events.
    """

    filter: list[AnySettings] = msgspec.field(default_factory=list)
    lateness: str = "0us"
    mask: list[Annotated[list[_Address], msgspec.Meta(min_length=1, max_length=2)]] = msgspec.field(
        default_factory=list
    )


class ReadoutConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How scores come from outputs; `tau` is for `leaky`, `window` for `window`."""

    kind: Literal["mean", "bin", "leaky", "window"] = "mean"
    tau: str = "100ms"
    window: str = "100ms"


class EngineConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What steps the network, see `runtime.engines`.

    Up to `batch` streams are stepped in one call, for which a due one waits at most `wait`: an
    engine that works event by event gains nothing by it.
    """

    name: str = "auto"
    batch: Annotated[int, msgspec.Meta(ge=1, le=1_024)] = 1
    wait: str = "0us"


class OverloadConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What follows when a stream is more than `behind` behind its sensor.

    `coarsen` doubles the time step up to `coarsest`, by default the network's own, and halves it
    again after `calm` without delay; see `runtime.overload.Overload`.
    """

    policy: Policy = "block"
    behind: str = "20ms"
    coarsest: str | None = None
    calm: str = "1s"


class CheckpointConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the open streams are kept for a restart, and how often; not at all without a `folder`.

    The folder is relative to the configuration file and belongs to this daemon alone.
    """

    folder: str | None = None
    every: str = "1s"


class ServeConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A deployment.

    `model` is a path relative to the configuration file. `dt`, `method` and `normalisation` are, if
    absent, what `exporters.step_model.StepModel.resolution` takes: the model's own at its own step.
    """

    model: str
    dt: str | None = None
    method: str | None = None
    normalisation: str | None = None
    feed: FeedConfig = msgspec.field(default_factory=FeedConfig)
    decisions: DecisionsConfig = msgspec.field(default_factory=DecisionsConfig)
    input: InputConfig = msgspec.field(default_factory=InputConfig)
    readout: ReadoutConfig = msgspec.field(default_factory=ReadoutConfig)
    engine: EngineConfig = msgspec.field(default_factory=EngineConfig)
    overload: OverloadConfig = msgspec.field(default_factory=OverloadConfig)
    checkpoint: CheckpointConfig = msgspec.field(default_factory=CheckpointConfig)
