"""The window of open bins as one table of whole numbers, which compiled code reads and writes.

A ring of rows holds the bins from `FIRST` on, the lateness and as many more as stay in the cache.
"""

from typing import Any, Final, NoReturn

import numpy as np
from numpy.typing import NDArray

from retempo.runtime.bin_modes import Cut, cut_of
from retempo.runtime.binning import FOREVER, LATEST, NO_BIN, OLDEST, Words
from retempo.runtime.bits import WORD
from retempo.runtime.closing import AS_IT_IS, AS_ONE, AS_RATE
from retempo.runtime.errors import InputError
from retempo.runtime.layout import BinLayout, Bins

Table = NDArray[np.int64]

# What the open bins may take, so that they stay in the cache of a core, and how many they are: few
# enough that none of them waits long, as far as there is a choice.
WINDOW_BYTES = 1 << 19
_MOST_OPEN = 64
# Bins of one block: whoever steps them looks up in between.
_MOST_BINS = 64
_MOST_ENTRIES = 1 << 15

# Behind what `runtime.binning` counts: what is told of a call, then where the stream stands.
(
    GAPS,
    BLOCK_FIRST,
    BLOCK_BINS,
    BLOCK_ENTRIES,
    BLOCK_SLOT,
    GATHER,  # how many bins are closed as one
    TOLD,
) = range(6, 13)
(
    WANTED,  # how many bins shall be closed as one
    FIRST,  # the oldest open bin
    HEAD,  # its slot in the ring
    TARGET,  # bins before it are to be closed
    STARTED,
    BEGUN,
    IN_GAP,
    GROUP_OPEN,
    GROUP_END,
    GROUP_FILLED,
    GIVEN,  # bins before it have been given away
    POSITION,  # of the next event in its chunk
    T_END,
) = range(TOLD, TOLD + 13)
# What never changes, then the addresses.
(
    DT,
    PARTS,
    UNIT,
    PATIENCE,
    SILENCE,
    OPENED,
    INPUTS,
    WORDS,
    MEANING,
    PEAK,
    BIN_UNIT,
    WIDTH,
    HEIGHT,
    MASKS,
    MOST_BINS,
    MOST_ENTRIES,
    AT_COLUMNS,
    AT_ROWS,
    AT_MASK,
    AT_WINDOW,
    AT_MARKS,
    AT_FILLED,
    AT_GATHERED,
    AT_GATHERED_MARKS,
    AT_STARTS,
    AT_INPUTS,
    AT_VALUES,
    ENTRIES,
) = range(T_END + 1, T_END + 29)

# A watermark below every time: it moves nothing on.
NO_TIME_US: Final = -(1 << 62)


class Window:
    """The arrays behind a table, which must live as long as it.

    With `listed` closed bins come as lists, else as rows. Shapes: `rows` `(open bins, parts,
    inputs)`, `starts` `(bins + 1,)`, `inputs` and `values` `(entries,)` of the block that was
    closed last.
    """

    def __init__(
        self,
        layout: BinLayout,
        dt_us: int,
        lateness_us: int,
        silence_us: int,
        *,
        listed: bool,
        window_bytes: int = WINDOW_BYTES,
    ) -> None:
        if dt_us < 1 or lateness_us < 0 or silence_us < 0:
            raise InputError(
                "dt_us must be 1 or more, lateness_us and silence_us 0 or more; "
                f"got {dt_us}, {lateness_us}, {silence_us}"
            )
        spec = layout.spec
        words = -(-layout.inputs // WORD) if listed else 0
        patience = -(-lateness_us // dt_us)
        more = window_bytes // (layout.inputs * cut_of(spec, dt_us).parts * 4)
        opened = patience + min(max(more, 1), _MOST_OPEN)
        self.cut: Cut = cut_of(spec, dt_us, opened)
        parts = self.cut.parts
        self.listed = True if listed else None
        self.layout = layout
        self.rows: Bins = np.zeros((opened, parts, layout.inputs), np.float32)
        self.starts = np.zeros(_MOST_BINS + 1, np.int64)
        most_entries = layout.inputs + _MOST_ENTRIES if listed else 0
        self.inputs = np.zeros(most_entries + 1, np.int32)
        self.values: Bins = np.zeros(most_entries + 1, np.float32)
        self.marks: Words = np.zeros((opened * parts, words), np.uint64)
        self.filled = np.zeros(opened, np.int64)
        self.gathered = np.zeros(layout.inputs if listed else 0, np.float32)
        self.gathered_marks: Words = np.zeros(words, np.uint64)
        self.table: Table = np.zeros(ENTRIES, np.int64)
        self.table[[LATEST, OLDEST, GIVEN]] = NO_BIN
        self.table[GATHER] = self.table[WANTED] = 1
        meanings = {"binary": AS_ONE, "mean": AS_RATE}
        self.table[DT:AT_COLUMNS] = (
            dt_us,
            parts,
            self.cut.unit_us or 1,
            patience,
            min(-(-silence_us // dt_us), FOREVER),
            opened,
            layout.inputs,
            words,
            meanings.get(spec.bin_mode, AS_IT_IS),
            spec.bin_mode == "max",
            spec.bin_unit_us,
            len(layout.columns),
            layout.height,
            len(layout.mask),
            _MOST_BINS,
            most_entries,
        )
        arrays: tuple[NDArray[Any], ...] = (
            layout.columns,
            layout.rows,
            layout.mask,
            self.rows,
            self.marks,
            self.filled,
            self.gathered,
            self.gathered_marks,
            self.starts,
            self.inputs,
            self.values,
        )
        assert all(array.flags.c_contiguous for array in arrays)  # noqa: S101
        self.table[AT_COLUMNS:] = [array.__array_interface__["data"][0] for array in arrays]

    def __reduce__(self) -> NoReturn:
        raise TypeError("a window holds addresses and cannot be copied; feed another binner")
