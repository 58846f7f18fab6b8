"""The compiled EVT decoders do what their plain twins do, however the bytes are cut."""

from typing import Any

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from retempo.sensors.evt import Coding, Version, evt_decoder
from retempo.sensors.evt.decoder import Kernel
from retempo.sensors.evt.packed import unpack, unpack_numpy
from retempo.sensors.evt.plain import pack_evt2_plain, pack_evt3_plain, pack_evt21_plain
from tests.sensors.evt.streams import decode, events, evt2_words, evt3_words

PLAIN: dict[Version, Kernel] = {
    "2": pack_evt2_plain,
    "2.1": pack_evt21_plain,
    "3": pack_evt3_plain,
}
STREAMS = st.one_of(
    evt3_words().map(lambda words: ("3", words)),
    evt2_words("2").map(lambda words: ("2", words)),
    evt2_words("2.1").map(lambda words: ("2.1", words)),
)
CUTS = st.lists(st.integers(0, 1 << 16), max_size=6)


@given(STREAMS, CUTS)
def test_kernel_and_twin_give_the_same_events_and_find_the_same_problems(
    stream: tuple[Version, NDArray[Any]], cuts: list[int]
) -> None:
    version, words = stream
    ours = decode(version, words.tobytes(), cuts)
    plain = decode(version, words.tobytes(), cuts, PLAIN[version])
    assert events(ours) == events(plain)
    assert ours.problems == plain.problems


@given(STREAMS, CUTS, st.integers(0, 7))
def test_the_cut_of_the_bytes_changes_neither_events_nor_problems(
    stream: tuple[Version, NDArray[Any]], cuts: list[int], lost: int
) -> None:
    version, words = stream
    data = words.tobytes()[: max(words.nbytes - lost, 0)]
    whole, cut = decode(version, data), decode(version, data, cuts)
    assert events(cut) == events(whole)
    assert cut.problems == whole.problems


@given(STREAMS)
@example(("3", np.array([0, 0x8001, 0x2000, 0x8000, 0x8000, 0, 0x2000, 0, 0, 0], np.uint16)))
def test_a_small_block_of_packed_events_changes_nothing(
    stream: tuple[Version, NDArray[Any]],
) -> None:
    version, words = stream
    whole = decode(version, words.tobytes())
    decoder = evt_decoder(Coding(version), block_events=1)
    state, cut = decoder.feed(decoder.start(), words.tobytes())
    assert isinstance(cut, type(whole))
    assert events(cut) == events(whole)
    ended = decode(version, words.tobytes()).problems.counts
    assert {**cut.problems.counts, **decoder.finish(state).problems.counts} == ended
    if cut.problems:
        assert (cut.problems.text, cut.problems.kept) == (whole.problems.text, whole.problems.kept)


@given(st.lists(st.integers(-(2**62), 2**62), max_size=50), st.integers(0, 2**50))
def test_packed_events_unpack_as_in_numpy(values: list[int], base_us: int) -> None:
    words = np.array(values, np.int64)
    both = []
    for sink in (unpack, unpack_numpy):
        columns: list[Any] = [
            np.zeros(len(words), kind) for kind in (np.int64, np.uint16, np.uint16, np.bool_)
        ]
        sink(words, base_us, *columns)
        both.append([column.tolist() for column in columns])
    assert both[0] == both[1]
