"""Row 1: truncated, empty and random frames: rejected, counted, no crash, memory flat.

The million frames of `python -m benchmarks.fuzz_wire` run behind `make soak`.
"""

import pytest

from benchmarks.fuzz_wire import fuzz
from benchmarks.fuzzing.broken_messages import KINDS

pytestmark = pytest.mark.fault(1)


def test_01_broken_frames_change_nothing_for_the_stream_beside_them() -> None:
    results = fuzz(frames=20_000, seed=11)
    assert results.findings == []
    assert results.frames >= 20_000
    assert all(results.sent[kind] > 500 for kind in KINDS)
    # Of what is rejected nothing is used: only the open stream has taken anything, and flipped
    # bits that hit no key that matters.
    broken = sum(results.sent.values()) - results.sent["random payload, stream open"]
    assert broken - results.rejected < results.sent["random payload, stream open"]
    assert 0.8 * broken < results.rejected <= broken
    # A random polarity takes its event with it, not the message.
    assert results.totals["counters"]["invalid"] > results.sent["random payload, stream open"]
    assert results.decisions > 0
