"""`retempo top`: what it reads from a daemon, and that its table fits every terminal."""

import json
from io import StringIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from retempo.runtime.errors import FeedError
from retempo.runtime.scraped import Overview, Row, compare, page_of, read_page
from retempo.sensors.wire import encode_message
from retempo.view.top import columns_for, count_text, span_text, time_text, top_view
from tests.cli.conftest import Invoke
from tests.runtime.stand_in import Peer, events
from tests.runtime.test_daemon_model import serving
from tests.runtime.test_metrics import feed_some
from tests.runtime.watched import fetch, watched_daemon


def test_two_looks_give_rates_and_what_steps_took_in_between() -> None:
    with (
        watched_daemon(served=serving(0), facts=None) as watched,
        Peer(watched.daemon.feed) as peer,
    ):
        at = feed_some(watched, peer)
        before = read_page(fetch(watched.url, "/metrics")[2], 10.0)
        peer.send(encode_message("events", events([2_500, 3_100], 4_000), at))
        peer.receive()
        now = read_page(fetch(watched.url, "/metrics")[2], 12.0)
    overview = compare(before, now)
    (row,) = overview.streams
    assert (row.stream, row.events_per_s, row.decisions_per_s) == ("cam", 1.0, 1.0)
    assert row.dt_s == pytest.approx(1e-3)
    assert (row.late, row.shed, row.queued) == (1, 0, 0)
    assert row.label in now.labels.values()
    assert row.step_p50_s is not None
    assert 0 < row.step_p50_s <= (row.step_p99_s or 0)
    assert (overview.engine, overview.model, overview.unaccounted) == ("sparse", "m.onnx", 0)
    assert (overview.whole.events_per_s, overview.whole.decisions_per_s) == (1.0, 1.0)


def test_a_daemon_that_was_started_anew_counts_from_0() -> None:
    with watched_daemon() as watched, Peer(watched.daemon.feed) as peer:
        feed_some(watched, peer)
        now = read_page(fetch(watched.url, "/metrics")[2], 100.0)
    before = read_page(fetch_text(uptime_s=5_000.0, received=1_000_000), 98.0)
    assert compare(before, now).whole.events_per_s > 0


def fetch_text(uptime_s: float, received: int) -> str:
    return f"retempo_uptime_seconds {uptime_s}\nretempo_received_events_total {received}\n"


def test_the_command_prints_a_table_or_json(invoke: Invoke) -> None:
    with (
        watched_daemon(served=serving(0), facts=None) as watched,
        Peer(watched.daemon.feed) as peer,
    ):
        feed_some(watched, peer)
        table = invoke("top", watched.url, "--once", "--interval", "0.1")
        told = invoke("top", watched.url, "--once", "--interval", "0.1", "--json")
    assert (table.code, told.code) == (0, 0)
    assert "cam" in table.out
    assert "1 streams" in table.out
    overview = json.loads(told.out)
    assert [row["stream"] for row in overview["streams"]] == ["cam"]
    assert overview["whole"]["late"] == 1


def test_what_is_no_metrics_page_is_told_on_one_line(invoke: Invoke) -> None:
    for address, reason in {
        "127.0.0.1:9": "no metrics at 127.0.0.1:9: Connection refused",
        "tcp://127.0.0.1:7710": "is no address of a metrics page",
        "127.0.0.1": "is no address of a metrics page",
        "127.0.0.1:x": "is no address of a metrics page",
    }.items():
        outcome = invoke("top", address, "--once")
        assert outcome.code == 1
        assert reason in outcome.err
        assert len(outcome.err.splitlines()) == 1
    with watched_daemon() as watched:
        assert "it answers 404" in invoke("top", f"{watched.url}/other", "--once").err
        assert "no metrics page" in invoke("top", f"{watched.url}/healthz", "--once").err
    with pytest.raises(FeedError, match="something else"):
        read_page("node_load1 0.5\n", 0.0)
    with pytest.raises(FeedError, match="no metrics page"):
        read_page('{"ok": true}\n', 0.0)
    assert page_of("robot:9464") == ("robot:9464", "/metrics")
    assert page_of("http://[::1]:80/metrics") == ("[::1]:80", "/metrics")


def row(stream: str, **changes: object) -> Row:
    fields: dict[str, object] = {
        "stream": stream, "label": "walking", "events_per_s": 1.24e6, "decisions_per_s": 1_000.0,
        "dt_s": 1e-3, "behind_s": 0.0004, "queued": 1, "shed": 0, "late": 0, "invalid": 0,
        "masked": 0, "lost": 0, "step_p50_s": 27e-6, "step_p99_s": 83e-6,
    }  # fmt: skip
    return Row(**{**fields, **changes})  # type: ignore[arg-type]


def overview(rows: list[Row]) -> Overview:
    return Overview("0.1.0", "digits.onnx", "sparse", "coarsen", 8_000, 0.34, 0.0, 0, row(""), rows)


def printed(view: object, width: int) -> list[str]:
    out = StringIO()
    Console(file=out, width=width).print(view)
    return out.getvalue().splitlines()


def test_80_columns_hold_what_matters_and_160_all() -> None:
    titles = {c.title for c in columns_for(80)}
    assert {"ev/s", "dec/s", "dt", "behind", "queue", "shed", "late", "label", "inval"} <= titles
    assert len(columns_for(160)) == 13
    lines = printed(top_view(overview([row("camera-left"), row("cam2")]), 80, 24), 80)
    assert lines[3].split()[:2] == ["stream", "label"]
    assert lines[4].split()[:3] == ["camera-left", "walking", "1.24M"]
    assert max(map(len, lines)) <= 80


@given(
    width=st.integers(1, 200),
    height=st.integers(1, 60),
    names=st.lists(st.text(min_size=1, max_size=200), max_size=70),
    note=st.sampled_from(["", "no metrics at 127.0.0.1:9464: Connection refused; write the bind"]),
)
def test_no_terminal_is_too_narrow(width: int, height: int, names: list[str], note: str) -> None:
    view = top_view(overview([row(name) for name in names]), width, height, note)
    lines = printed(view, width)
    assert max(map(cell_len, lines)) <= width
    assert len(lines) <= max(height, 8)


def test_streams_beyond_the_terminal_are_counted() -> None:
    lines = printed(top_view(overview([row(f"cam{k}") for k in range(64)]), 80, 24), 80)
    assert len(lines) <= 24
    assert lines[-1] == f"and {64 - sum(line.startswith('cam') for line in lines)} more"


def test_numbers_are_short() -> None:
    counts = [count_text(n) for n in (0, 7, 999, 1_000, 12_345, 999_499, 1.24e6, 5e9, 1e16)]
    assert counts == ["0", "7", "999", "1.00k", "12.3k", "999k", "1.24M", "5.00G", "lots"]
    times = [time_text(s) for s in (None, 0.0, 27e-6, 1e-3, 0.0125, 0.25, 1.0, 64.0, 4_000)]
    assert times == ["-", "0us", "27us", "1ms", "12.5ms", "250ms", "1.0s", "64.0s", "1h 6min"]
    assert [span_text(s) for s in (5, 125, 7_800, 200_000)] == [
        "5s",
        "2min 5s",
        "2h 10min",
        "2d 7h",
    ]
