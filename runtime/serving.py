"""From a `ServeConfig` to a deployment."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from retempo.exporters.description import InputSpec
from retempo.exporters.resolution import Resolution
from retempo.exporters.step_model import StepModel, load_step
from retempo.runtime.checkpoint_identity import engine_to_load
from retempo.runtime.checkpointing import keep_checkpoints
from retempo.runtime.daemon import Chore
from retempo.runtime.deciding import Every
from retempo.runtime.deployment import Deployment
from retempo.runtime.engine_fallback import load_engine_or
from retempo.runtime.engines import AUTO
from retempo.runtime.errors import ConfigError
from retempo.runtime.event_log import EventLog
from retempo.runtime.feed_server import FeedServer
from retempo.runtime.guard import GuardRules
from retempo.runtime.guard_config import guard_rules
from retempo.runtime.layout import BinLayout, Mask, geometry_of, layout_of
from retempo.runtime.overload import Overload
from retempo.runtime.serve_config import OverloadConfig, ServeConfig
from retempo.runtime.units import parse_dt_us, parse_duration_us
from retempo.sensors.errors import FilterError
from retempo.sensors.filters import Filter, build_filters
from retempo.sensors.geometry import Geometry, GridGeometry


class Values(NamedTuple):
    """What of a configuration can be read without its model."""

    dt_us: int | None
    span_us: int
    lateness_us: int
    guard: GuardRules
    every: Every
    filters: tuple[Filter, ...]
    overload: Overload
    wait_us: int


def values_of(config: ServeConfig, folder: Path, filters: Sequence[Filter] | None = None) -> Values:
    """Read the values of a configuration; arguments as of `deployment_of`.

    Raises:
        ConfigError: a duration or a filter is malformed.
    """
    spans_us = {
        "leaky": _read(config.readout.tau, "[readout] tau", parse_dt_us),
        "window": _read(config.readout.window, "[readout] window", parse_dt_us),
    }
    lateness_us = _read(config.input.lateness, "[input] lateness", parse_duration_us)
    return Values(
        dt_us=None if config.dt is None else _read(config.dt, "dt", parse_dt_us),
        span_us=spans_us.get(config.readout.kind, spans_us["leaky"]),
        lateness_us=lateness_us,
        guard=guard_rules(config.guard, lateness_us),
        every=_every(config.decisions.every),
        filters=_filters(config, folder) if filters is None else tuple(filters),
        overload=_overload(config.overload),
        wait_us=_read(config.engine.wait, "[engine] wait", parse_duration_us),
    )


def deployment_of(
    config: ServeConfig,
    folder: Path,
    filters: Sequence[Filter] | None = None,
    *,
    model: StepModel | None = None,
    fallen_back: Callable[[str], None] = lambda _: None,
) -> Deployment:
    """Load the model and make the deployment that a configuration describes, warmed up.

    Args:
        config: see `ServeConfig`.
        folder: what its relative paths start from.
        filters: instead of those of the configuration.
        model: instead of reading that of the configuration.
        fallen_back: told why the engine is another than was asked for, see `[engine] fallback`.

    Raises:
        ConfigError: a duration, an address of the mask or a filter is malformed.
        ExportError: the model is broken, or the resolution asked for does not fit it.
        EngineError: the model cannot be loaded.
    """
    values = values_of(config, folder, filters)
    model = load_step(folder / config.model) if model is None else model
    resolution = model.resolution(values.dt_us, config.method, config.normalisation)
    coarsens = values.overload.policy == "coarsen"
    ladder = _ladder(model, resolution, config) if coarsens else {}
    engine_name = engine_to_load(config.engine.name, model, checkpoint_folder_of(config, folder))
    # Who asked for no GPU goes on without the one that a checkpoint was written by.
    fallback = "cpu" if config.engine.name == AUTO else config.engine.fallback
    engine = load_engine_or(
        model, resolution, engine_name, fallback, fallen_back, batch=config.engine.batch
    )
    if engine.name == engine_name != config.engine.name:
        engine.why = "the newest checkpoint of this model was written by it"
    deployment = Deployment(
        engine=engine,
        layout=_layout(model.contract.network.input, config.input.mask),
        filters=values.filters,
        readout=config.readout.kind,
        span_us=values.span_us,
        lateness_us=values.lateness_us,
        every=values.every,
        ladder=ladder,
        overload=values.overload,
        batch=config.engine.batch,
        wait_us=values.wait_us,
        guard=values.guard,
    )
    deployment.warm_up()
    return deployment


def grace_us_of(config: ServeConfig) -> int:
    """Return how long the stream of a sender that is gone is kept.

    Raises:
        ConfigError: the duration is malformed.
    """
    return _read(config.feed.grace, "[feed] grace", parse_duration_us)


def checkpoint_folder_of(config: ServeConfig, folder: Path) -> Path | None:
    """Return where checkpoints are kept, None where they are not."""
    name = config.checkpoint.folder
    return None if name is None else folder / name


def checkpointing_of(
    config: ServeConfig, folder: Path, log: EventLog
) -> list[Callable[[FeedServer], Chore]]:
    """Return the chore that keeps checkpoints, or none.

    Raises:
        ConfigError: the interval is malformed.
    """
    every_us = _read(config.checkpoint.every, "[checkpoint] every", parse_dt_us)
    path = checkpoint_folder_of(config, folder)
    return [] if path is None else [keep_checkpoints(path, every_us / 1e6, log)]


def _overload(config: OverloadConfig) -> Overload:
    return Overload(
        policy=config.policy,
        behind_us=_read(config.behind, "[overload] behind", parse_dt_us),
        calm_us=_read(config.calm, "[overload] calm", parse_dt_us),
    )


def _ladder(model: StepModel, resolution: Resolution, config: ServeConfig) -> dict[int, Resolution]:
    """Return the resolutions that a stream may climb: each twice as coarse as the one before."""
    source_us = model.contract.network.source_dt_us
    coarsest = config.overload.coarsest
    coarsest_us = (
        source_us if coarsest is None else _read(coarsest, "[overload] coarsest", parse_dt_us)
    )
    ladder, dt_us = {resolution.dt_us: resolution}, 2 * resolution.dt_us
    while dt_us <= coarsest_us:
        ladder[dt_us] = model.resolution(dt_us, config.method, config.normalisation)
        dt_us *= 2
    if len(ladder) == 1:
        raise ConfigError(
            f"[overload] policy coarsen has no coarser step than {resolution.dt_us} us within "
            f"{coarsest_us} us; set [overload] coarsest to twice the step or more"
        )
    return ladder


def _filters(config: ServeConfig, folder: Path) -> tuple[Filter, ...]:
    try:
        return build_filters(config.input.filter, folder)
    except FilterError as error:
        raise ConfigError(f"[[input.filter]] {error}") from error


def _every(text: str) -> Every:
    if text == "bin":
        return "bin"
    if text == "change":
        return "change"
    try:
        return parse_dt_us(text)
    except ConfigError as error:
        raise ConfigError(
            f"[decisions] every is bin, change or a duration such as 20ms, got {text!r}"
        ) from error


def _read(text: str, key: str, parse: Callable[[str], int]) -> int:
    try:
        return parse(text)
    except ConfigError as error:
        raise ConfigError(f"{key}: {error}") from error


def _layout(spec: InputSpec, addresses: Sequence[Sequence[int]]) -> BinLayout:
    return layout_of(spec, mask_of(geometry_of(spec), addresses) if addresses else None)


def mask_of(geometry: Geometry, addresses: Sequence[Sequence[int]]) -> Mask:
    """Return the mask that switches addresses off, `[x, y]` of a grid or `[channel]`.

    Raises:
        ConfigError: an address is not one of the sensor.
    """
    sides: tuple[int, ...]
    if isinstance(geometry, GridGeometry):
        sides, form = (geometry.width, geometry.height), "[x, y]"
    else:
        sides, form = (geometry.channels,), "[channel]"
    mask = np.zeros(sides[::-1], np.bool_)
    for address in addresses:
        if len(address) != len(sides) or any(a >= s for a, s in zip(address, sides, strict=False)):
            raise ConfigError(
                f"[input] mask holds {list(address)}, which is no address of a sensor of "
                f"{geometry}; write {form}"
            )
        mask[tuple(address[::-1])] = True
    return mask
