"""Where a daemon's deployments come from: the configuration, at the start and at every swap."""

from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from retempo.exporters.errors import OperatorError
from retempo.exporters.operators import check_allowed
from retempo.runtime.admission import Admission, admit, within
from retempo.runtime.config import load_config
from retempo.runtime.deployment import Deployment
from retempo.runtime.errors import ConfigError
from retempo.runtime.event_log import EventLog
from retempo.runtime.serve_config import ServeConfig
from retempo.runtime.serving import deployment_of, values_of
from retempo.runtime.sizes import parse_bytes
from retempo.runtime.trial import TrialSettings
from retempo.runtime.trial_process import Trials, Try
from retempo.runtime.trial_stamp import stamps_folder
from retempo.runtime.units import parse_dt_us
from retempo.sensors.filters import Filter

# What a swap may change; all else is as it was at the start.
SWAPPED = ("model", "dt", "method", "normalisation")


class ModelSource:
    """Loads what a configuration file says; of a swap, its model, time step and method anew.

    A swap is prepared in another thread than the one that serves: nothing here is shared with it.
    """

    def __init__(
        self,
        path: Path,
        settings: ServeConfig,
        log: EventLog,
        filters: Sequence[Filter] | None = None,
        attempt: Try | None = None,
    ) -> None:
        self._path = path
        self._settings = settings
        self._log = log
        self._filters = filters
        self._attempt = Trials() if attempt is None else attempt

    def first(self) -> Deployment:
        """Return the deployment to begin with.

        Raises:
            ModelError: its model may not go live.
            ConfigError: the configuration is malformed.
        """
        return self._deployed(self._settings, self._path.parent / self._settings.model, again=False)

    def reread(self) -> Deployment:
        """Return what the configuration file says now.

        Raises:
            RunError: it is malformed, or its model may not go live; the next swap begins from what
                was served before.
        """
        found = load_config(self._path, ServeConfig)
        wanted = msgspec.structs.replace(
            self._settings, **{key: getattr(found, key) for key in SWAPPED}
        )
        if found != wanted:
            keys = [
                key
                for key in ServeConfig.__struct_fields__
                if getattr(found, key) != getattr(wanted, key)
            ]
            self._log.warning("needs_restart", keys=keys, config=str(self._path))
        return self._served(wanted, self._path.parent / wanted.model)

    def named(self, model: str) -> Deployment:
        """Return the deployment of a model that a peer names, at the time step in force.

        Raises:
            RunError: it lies in no folder of models, or may not go live.
        """
        folder = self._path.parent
        path = within(model, folder, admission_of(self._settings, folder).folders)
        return self._served(msgspec.structs.replace(self._settings, model=str(path)), path)

    def stop(self) -> None:
        """End what is being tried."""
        if isinstance(self._attempt, Trials):
            self._attempt.stop()

    def _served(self, settings: ServeConfig, path: Path) -> Deployment:
        deployment = self._deployed(settings, path, again=True)
        self._settings = settings
        return deployment

    def _deployed(self, settings: ServeConfig, path: Path, *, again: bool) -> Deployment:
        folder = self._path.parent
        # A malformed value is told before a model is tried.
        values_of(settings, folder, self._filters)
        admission = admission_of(settings, folder)
        model = admit(path, admission, self._log, attempt=self._attempt, again=again)
        return deployment_of(
            settings,
            folder,
            self._filters,
            model=model,
            fallen_back=lambda why: self._log.warning("engine_fallback", reason=why, taken="auto"),
        )


def admission_of(settings: ServeConfig, folder: Path) -> Admission:
    """Return what a model goes through by a configuration.

    Raises:
        ConfigError: a duration or a size of `[models]` is malformed, or an operator is none.
    """
    models = settings.models
    try:
        check_allowed(models.operators)
    except OperatorError as error:
        raise ConfigError(f"[models] operators: {error}") from error
    dt_us = None if settings.dt is None else _read(settings.dt, "dt", parse_dt_us)
    memory_bytes = _read(models.trial_memory, "[models] trial_memory", parse_bytes)
    trial = TrialSettings(
        name=Path(settings.model).name,
        dt_us=dt_us,
        method=settings.method,
        normalisation=settings.normalisation,
        engine=settings.engine.name,
        fallback=settings.engine.fallback,
        operators=tuple(models.operators),
        file_bytes=_read(models.most_bytes, "[models] most_bytes", parse_bytes),
        time_s=_read(models.trial_time, "[models] trial_time", parse_dt_us) / 1e6,
        # A GPU's driver maps more addresses than any machine has memory.
        memory_bytes=0 if settings.engine.name == "cuda" else memory_bytes,
    )
    own = (folder / settings.model).parent
    return Admission(
        manifest=models.manifest,
        trial=models.trial,
        settings=trial,
        stamps=stamps_folder() if models.stamps is None else folder / models.stamps,
        folders=(folder, own) if models.folder is None else (folder / models.folder,),
    )


def _read(text: str, key: str, parse: Callable[[str], int]) -> int:
    try:
        return parse(text)
    except ConfigError as error:
        raise ConfigError(f"{key}: {error}") from error
