"""What `retempo serve` is configured with: one TOML file, read by `runtime.config.load_config`."""

from typing import Annotated, Literal

import msgspec

from retempo.runtime.feed import MAX_WINDOW, WINDOW
from retempo.runtime.guard import Backward, Forward, Wrap
from retempo.runtime.overload import Policy
from retempo.sensors.filters.registry import AnySettings

_Address = Annotated[int, msgspec.Meta(ge=0, le=65_535)]


class FeedConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where events come in, and how many messages a sender may have on the way, a stream."""

    bind: str = "tcp://127.0.0.1:7710"
    window: Annotated[int, msgspec.Meta(ge=1, le=MAX_WINDOW)] = WINDOW


class DecisionsConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where decisions go out, how often, and in what form.

    `every` is `bin`, `change` (of the label) or a duration.
    """

    bind: str = "tcp://127.0.0.1:7711"
    every: str = "bin"
    format: Literal["json", "msgpack"] = "json"


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


class GuardConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which times of a stream are believed, see `runtime.guard.GuardRules`.

    A time more than `back` behind or `ahead` beyond the latest is held back until `confirm` events
    in a row agree with it. `wrap` says how many bits a counter has that nobody has unwrapped.
    """

    back: str = "1s"
    ahead: str = "10s"
    backward: Backward = "carry_on"
    forward: Forward = "gap"
    wrap: Wrap = "none"
    confirm: Annotated[int, msgspec.Meta(ge=1, le=1_024)] = 8


class JournalConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where what is done to streams is recorded, for `retempo replay --journal`.

    Nowhere without a `folder`, which is relative to the configuration file. There are at most
    `files` files of `bytes` each; the oldest is deleted.
    """

    folder: str | None = None
    bytes: str = "256MiB"
    files: Annotated[int, msgspec.Meta(ge=2, le=100_000)] = 8


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
    guard: GuardConfig = msgspec.field(default_factory=GuardConfig)
    journal: JournalConfig = msgspec.field(default_factory=JournalConfig)
