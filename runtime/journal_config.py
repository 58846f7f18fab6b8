"""From the `[journal]` of a configuration to a journal."""

from collections.abc import Sequence
from pathlib import Path

from retempo.runtime.errors import ConfigError
from retempo.runtime.event_log import EventLog
from retempo.runtime.journal import Journal, beginning
from retempo.runtime.journal_format import MAX_RECORD_BYTES
from retempo.runtime.serve_config import ServeConfig
from retempo.runtime.sizes import parse_bytes


def journal_of(
    settings: ServeConfig,
    folder: Path,
    engine: str,
    filters: Sequence[str] | None,
    log: EventLog,
) -> Journal | None:
    """Begin the journal that a configuration asks for; None if it asks for none.

    Args:
        settings: what is served.
        folder: what its relative paths start from.
        engine: the one that was chosen.
        filters: texts that take the place of the configuration's, empty or None if none do.
        log: told when nothing can be written.

    Raises:
        ConfigError: `bytes` is malformed or too few, or the folder cannot be written.
    """
    asked = settings.journal
    if asked.folder is None:
        return None
    file_bytes = parse_bytes(asked.bytes)
    if file_bytes < 2 * MAX_RECORD_BYTES:
        raise ConfigError(
            f"[journal] bytes is {asked.bytes}, which may not hold a message; "
            f"set it to {2 * MAX_RECORD_BYTES >> 20}MiB or more"
        )
    begin = beginning(settings, folder, engine, filters or None)
    where = folder / asked.folder
    return Journal(where, begin, file_bytes=file_bytes, files=asked.files, log=log)
