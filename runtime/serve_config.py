"""What `retempo serve` is configured with: one TOML file, read by `runtime.config.load_config`."""

from typing import Annotated, Literal

import msgspec

from retempo.exporters.manifest import Rule
from retempo.runtime.admission_rules import When
from retempo.runtime.decision_history import HISTORY_BYTES
from retempo.runtime.engine_fallback import Fallback
from retempo.runtime.feed import MAX_WINDOW, WINDOW
from retempo.runtime.guard import Backward, Forward, Wrap
from retempo.runtime.overload import Policy
from retempo.runtime.security.exposure import Access
from retempo.runtime.security.settings import CONNECTIONS
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
    engine that works event by event gains nothing by it. With `fallback` cpu what `auto` finds
    on the CPU is taken, with a warning, where `cuda` is asked for and cannot be had.
    """

    name: str = "auto"
    fallback: Fallback = "none"
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


class SecurityConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who may connect, see docs/threat-model.md.

    `keys` is the daemon's secret key file and `allow` the public keys of its clients, a file or a
    folder of `*.pub`, read anew when it changes: both or none. `clear_on_network` lets the network
    in without. `connections` is how many peers each socket takes; `ipc` says who may open the
    sockets of ipc endpoints.
    """

    keys: str | None = None
    allow: str | None = None
    clear_on_network: bool = False
    connections: Annotated[int, msgspec.Meta(ge=1, le=65_536)] = CONNECTIONS
    ipc: Access = "owner"


class MetricsConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where `/metrics` and `/healthz` are served over HTTP, `host:port`; nowhere if absent.

    An address beyond the loopback needs `on_network`: the pages are in clear, for everybody.
    """

    bind: str | None = None
    on_network: bool = False


class WatchdogConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """After `limit` without a turn of its loop the daemon is stuck; `exit` ends it with code 75."""

    limit: str = "10s"
    exit: bool = False


class ModelsConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a model goes through before it goes live, see `runtime.admission`.

    `manifest` says whether the file must have one. `trial` is `new` (what has not passed before on
    this machine, and every model of a swap), `always` or `off`, within `trial_time` and
    `trial_memory`. `operators` are allowed besides those that Retempo's exporters write, for
    another graph of the same network. `folder` is where a model lies that is named over the control
    socket, by default that of the configuration or of its model; `stamps` is where trials are
    noted, by default the user's cache.
    """

    manifest: Rule = "if_present"
    trial: When = "new"
    trial_time: str = "20s"
    trial_memory: str = "4GiB"
    most_bytes: str = "1GiB"
    operators: list[str] = msgspec.field(default_factory=list)
    folder: str | None = None
    stamps: str | None = None


class ControlConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the daemon is asked and told, `ipc:///run/retempo/control`; nowhere if left out."""

    bind: str | None = None


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
    security: SecurityConfig = msgspec.field(default_factory=SecurityConfig)
    metrics: MetricsConfig = msgspec.field(default_factory=MetricsConfig)
    watchdog: WatchdogConfig = msgspec.field(default_factory=WatchdogConfig)
    models: ModelsConfig = msgspec.field(default_factory=ModelsConfig)
    control: ControlConfig = msgspec.field(default_factory=ControlConfig)
    guard: GuardConfig = msgspec.field(default_factory=GuardConfig)
    journal: JournalConfig = msgspec.field(default_factory=JournalConfig)
    checkpoint: CheckpointConfig = msgspec.field(default_factory=CheckpointConfig)
