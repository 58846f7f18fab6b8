"""From the `[journal]` of a configuration to a journal."""

from collections.abc import Callable, Sequence
from pathlib import Path

from retempo.runtime.daemon import Chore
from retempo.runtime.deployment import Deployment
from retempo.runtime.errors import ConfigError
from retempo.runtime.event_log import EventLog
from retempo.runtime.feed_server import FeedServer
from retempo.runtime.journal import Journal, beginning
from retempo.runtime.journal_format import MAX_RECORD_BYTES
from retempo.runtime.serve_config import ServeConfig
from retempo.runtime.sizes import parse_bytes


def journal_of(
    settings: ServeConfig,
    folder: Path,
    served: Deployment,
    filters: Sequence[str] | None,
    log: EventLog,
) -> Journal | None:
    """Begin the journal that a configuration asks for; None if it asks for none.

    Args:
        settings: what is served.
        folder: what its relative paths start from.
        served: what was made of them.
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
    begin = beginning(settings, folder, served, filters or None)
    where = folder / asked.folder
    return Journal(where, begin, file_bytes=file_bytes, files=asked.files, log=log)


def journal_chore(journal: Journal) -> Callable[[FeedServer], Chore]:
    """Return what makes the chore of a journal, and shows what it counts."""

    def make(server: FeedServer) -> Chore:
        add = server.gauges.add
        add(
            "retempo_journal_records_total",
            "Records that the journal has taken.",
            lambda: journal.records,
            "counter",
        )
        add(
            "retempo_journal_dropped_records_total",
            "What was done to streams that the journal does not hold.",
            lambda: journal.dropped,
            "counter",
        )
        add(
            "retempo_journal_failures_total",
            "Times that the disk stopped the journal; the streams went on.",
            lambda: journal.failures,
            "counter",
        )
        add(
            "retempo_journal_stopped",
            "1 while nothing is recorded; a stream that opens tries again.",
            lambda: float(journal.stopped),
        )
        return journal

    return make
