"""Raw EVT bytes straight to bins: decoded, downsampled and counted block by block in the cache.

The bins and counters are those of the decoded events, without columns of events in between and
several times as fast.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

from retempo.runtime.binner import Binner
from retempo.runtime.counters import Counters
from retempo.runtime.layout import BinLayout, Bins
from retempo.runtime.rows import RowBinner
from retempo.runtime.sparse_bins import Block
from retempo.sensors.evt import Packed
from retempo.sensors.files.evt import packed_events
from retempo.sensors.problems import Policy


def bin_evt_file(
    path: str | Path,
    layout: BinLayout,
    dt_us: int,
    counters: Counters | None = None,
    policy: Policy = "raise",
) -> Iterator[tuple[int, Bins]]:
    """Bin an EVT2, EVT2.1 or EVT3 file to rows; see `runtime.rows.RowBinner`.

        spec = InputSpec(GridSpec(1280, 720, 2), downsample=20)
        for first_bin, rows in bin_evt_file("recording.raw", layout_of(spec), dt_us=1_000):
            ...

    Every bin from the first event's to the last one's is yielded in its order, empty ones too, but
    for gaps. Time moves by events on the sensor alone. Rows are valid until the next are asked for.

    Args:
        path: the file.
        layout: how addresses map to inputs, see `layout_of`; other addresses count as invalid.
        dt_us: the time step.
        counters: counts where the events went, if given.
        policy: what follows from damage, see `sensors.files.Recording`.

    Raises:
        RecordingError: the file is no readable EVT file, or damaged and the policy is `raise`.
    """
    rows = RowBinner(layout, dt_us, counters if counters is not None else Counters())
    return row_bins(packed_events(Path(path), policy), rows)


def list_evt_file(
    path: str | Path,
    layout: BinLayout,
    dt_us: int,
    counters: Counters | None = None,
    policy: Policy = "raise",
) -> Iterator[Block]:
    """As `bin_evt_file`, as lists of the entries that are not 0; see `runtime.binner.Binner`."""
    binner = Binner(layout, dt_us, counters if counters is not None else Counters())
    return listed_bins(packed_events(Path(path), policy), binner)


def row_bins(pieces: Iterable[Packed], binner: RowBinner) -> Iterator[tuple[int, Bins]]:
    """Feed a binner with all of a stream's packed events, see `sensors.evt.packed_pieces`."""
    for packed in pieces:
        yield from binner.feed_packed(packed)
    yield from binner.finish()


def listed_bins(pieces: Iterable[Packed], binner: Binner) -> Iterator[Block]:
    """Feed a binner with all of a stream's packed events, see `sensors.evt.packed_pieces`."""
    for packed in pieces:
        yield from binner.feed_packed(packed)
    yield from binner.finish()
