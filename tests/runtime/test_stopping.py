"""Real signals end a recording, and what has come until then is kept."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest

from retempo.runtime.record import record
from retempo.runtime.stopping import UntilStopped, unwinding
from retempo.sensors.errors import LiveError, RecordingError
from retempo.sensors.events import EventChunk, live_of
from retempo.sensors.files import open_recording, read_all
from retempo.sensors.filters import Filtered, parse_filter
from retempo.sensors.geometry import ChannelGeometry, Geometry
from tests.sensors.writing.sources import Given, channel_chunk

CHANNELS = ChannelGeometry(8)
TIMEOUT_S = 60.0
both_signals = pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])


def raise_now(number: signal.Signals) -> None:
    os.kill(os.getpid(), number)


@dataclass
class Endless:
    """A source that yields an event a millisecond of its own time, and acts before some of them."""

    acts: Mapping[int, Callable[[], object]] = field(default_factory=dict)
    name: str = "endless"
    geometry: Geometry = CHANNELS
    closed: bool = False

    def __iter__(self) -> Iterator[EventChunk]:
        try:
            for number in range(100_000):
                self.acts.get(number, lambda: None)()
                yield channel_chunk([1_000 * number], [number % 8])
            raise AssertionError("nobody has stopped it")
        finally:
            self.closed = True


@dataclass
class Live(Endless):
    """An endless live source; `stop` ends it behind three events that were on their way."""

    left: int | None = None
    stops: int = 0
    clock: Literal["sensor"] = "sensor"
    about: str = "a test"

    def stop(self) -> None:
        self.stops += 1
        self.left = 3

    def close(self) -> None:
        """Nothing to let go of."""

    def __iter__(self) -> Iterator[EventChunk]:
        for chunk in Endless.__iter__(self):
            if self.left == 0:
                return
            self.left = None if self.left is None else self.left - 1
            yield chunk


def wait_for_ever() -> None:
    assert threading.Event().wait(TIMEOUT_S), "no signal came"


def later(number: signal.Signals) -> None:
    """Signal this process while its main thread waits."""
    main = threading.main_thread().ident
    assert main is not None
    timer = threading.Timer(0.05, lambda: signal.pthread_kill(main, number))
    timer.daemon = True
    timer.start()


@both_signals
def test_a_signal_ends_a_source_between_its_chunks(number: signal.Signals) -> None:
    source = UntilStopped(Endless())
    taken = []
    for chunk in source:
        taken += chunk.t_us.tolist()
        if len(taken) == 5:
            raise_now(number)
    assert taken == [0, 1_000, 2_000, 3_000, 4_000]
    assert source.asked


@both_signals
def test_a_signal_ends_a_source_that_waits_for_its_sensor(number: signal.Signals) -> None:
    def wait() -> None:
        later(number)
        wait_for_ever()

    endless = Endless({3: wait})
    source = UntilStopped(endless)
    assert [chunk.t_us.tolist() for chunk in source] == [[0], [1_000], [2_000]]
    assert endless.closed


@both_signals
def test_a_live_source_is_asked_and_hands_over_what_was_on_its_way(number: signal.Signals) -> None:
    live = Live({5: lambda: raise_now(number)})
    source = UntilStopped(Filtered(live, (parse_filter("crop=0,8"),)))
    found: object = live_of(source)
    assert found is live
    assert len(list(source)) == 8
    assert live.stops == 1
    assert source.asked


def test_the_handlers_of_before_are_back_at_the_end_and_for_a_second_signal() -> None:
    seen: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _frame: seen.append(number))
    try:
        mine = signal.getsignal(signal.SIGINT)
        live = Live({5: lambda: raise_now(signal.SIGINT), 6: lambda: raise_now(signal.SIGINT)})
        assert len(list(UntilStopped(live))) == 8
        assert (live.stops, seen) == (1, [signal.SIGINT])
        assert list(UntilStopped(Given([], CHANNELS))) == []
        assert signal.getsignal(signal.SIGINT) is mine
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_source_that_falls_silent_ends_by_the_hosts_clock() -> None:
    alarm = signal.getsignal(signal.SIGALRM)
    began_s = time.monotonic()
    source = UntilStopped(Endless({4: wait_for_ever}), limit_us=3_500)
    assert len(list(source)) == 4
    assert 0.9 < time.monotonic() - began_s < TIMEOUT_S / 2
    assert signal.getsignal(signal.SIGALRM) is alarm


def test_a_source_that_is_slower_than_its_own_time_is_waited_for() -> None:
    # Half a second of the host's clock goes by in a millisecond of the source's, thrice.
    slow = {number: lambda: time.sleep(0.5) for number in (1, 2, 3)}
    source = UntilStopped(Endless(slow), limit_us=1_000_000)
    chunks = iter(source)
    assert [next(chunks).t_us.tolist() for _ in range(5)] == [[k * 1_000] for k in range(5)]


def test_whoever_takes_the_chunks_may_be_slower_than_the_source() -> None:
    taken = []
    for chunk in UntilStopped(Endless(), limit_us=1_000):
        taken.append(chunk)
        if len(taken) == 2:
            time.sleep(1.5)
        if len(taken) == 5:
            break
    assert len(taken) == 5


def test_without_the_main_thread_a_source_ends_where_it_ends() -> None:
    taken: list[EventChunk] = []
    source = UntilStopped(Given([channel_chunk([1, 2], [3, 4])], CHANNELS), limit_us=1)
    thread = threading.Thread(target=lambda: taken.extend(source))
    thread.start()
    thread.join(TIMEOUT_S)
    assert [chunk.t_us.tolist() for chunk in taken] == [[1, 2]]


@both_signals
def test_a_recording_that_is_interrupted_is_finished(
    number: signal.Signals, tmp_path: Path
) -> None:
    path = tmp_path / "heard.npz"
    report = record(Endless({1_000: lambda: raise_now(number)}), path)
    assert (report.interrupted, report.error) == (True, None)
    assert (report.events_in, report.written.events) == (1_000, 1_000)
    kept = read_all(open_recording(path))
    assert kept.t_us.tolist() == [1_000 * k for k in range(1_000)]
    assert list(tmp_path.iterdir()) == [path]


def test_a_second_signal_gives_a_recording_up(tmp_path: Path) -> None:
    acts = {k: lambda: raise_now(signal.SIGINT) for k in (5, 6)}
    with pytest.raises(KeyboardInterrupt):
        record(Live(acts), tmp_path / "heard.npz")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("limit_us", [1_000, 10_500, 100_000])
def test_a_recording_lasts_as_long_as_it_shall(limit_us: int, tmp_path: Path) -> None:
    path = tmp_path / "heard.csv"
    report = record(Endless(), path, limit_us=limit_us)
    assert report.written.events == -(-limit_us // 1_000)
    assert not report.interrupted


def test_a_camera_that_goes_away_leaves_what_it_gave(tmp_path: Path) -> None:
    gone = LiveError("the camera is gone")
    report = record(Given([channel_chunk([1, 2], [0, 1])], CHANNELS, gone), tmp_path / "a.npz")
    assert report.error is gone
    assert read_all(open_recording(tmp_path / "a.npz")).t_us.tolist() == [1, 2]
    with pytest.raises(LiveError, match="is gone"):
        record(Given([], CHANNELS, gone), tmp_path / "b.npz")
    assert [path.name for path in tmp_path.iterdir()] == ["a.npz"]


def test_filters_and_what_a_source_lost_are_counted(tmp_path: Path) -> None:
    chunks = [channel_chunk([1, 2, 3], [0, 7, 3]), channel_chunk([4], [6])]
    source = Given(chunks, CHANNELS)
    report = record(source, tmp_path / "a.npz", filters=[parse_filter("crop=0,4")])
    assert (report.events_in, report.written.events) == (4, 2)
    assert report.written.removed == {"crop": 2}
    assert report.written.geometry == ChannelGeometry(4)


def test_a_format_that_cannot_hold_the_source_is_told_before_it_begins(tmp_path: Path) -> None:
    endless = Endless()
    with pytest.raises(RecordingError, match="DAT holds events of a pixel grid"):
        record(endless, tmp_path / "a.dat")
    assert not endless.closed


def test_sigterm_unwinds(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as left, unwinding():
        raise_now(signal.SIGTERM)
    assert left.value.code == 128 + signal.SIGTERM
    assert signal.getsignal(signal.SIGTERM) is before
