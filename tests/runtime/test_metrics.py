"""What the daemon shows to who watches it."""

import socket
from urllib.parse import urlsplit

import msgspec
import pytest

from retempo.runtime.feed import Credit, Ended
from retempo.runtime.gauges import Gauges
from retempo.runtime.histogram import BOUNDS_US, Histogram, quantile
from retempo.runtime.metric_families import FAMILIES, MOST_HISTOGRAMS
from retempo.sensors.pieces import no_events
from retempo.sensors.wire import Cursor, encode_message
from tests.runtime.stand_in import GRID, Peer, events
from tests.runtime.test_daemon_model import serving
from tests.runtime.watched import Watched, fetch, value, values_of, watched_daemon

FATES = ("binned", "late", "invalid", "masked", "shed")


def feed_some(watched: Watched, peer: Peer, stream: str = "cam") -> Cursor:
    """A stream of 3 events in 2 bins, 1 of them late; returns where it stands."""
    at = Cursor(stream, GRID, 5)
    peer.send(encode_message("open", no_events(GRID, 0), at))
    for piece in (events([100, 1_200], 2_000), events([900], 2_000)):
        peer.send(encode_message("events", piece, at))
        at = at.after(piece)
    while True:
        credit = peer.receive_until(Credit)
        if isinstance(credit, Credit) and credit.acknowledged == 1:
            return at


def test_a_scrape_tells_where_every_event_of_every_stream_went() -> None:
    with watched_daemon() as watched, Peer(watched.daemon.feed) as peer:
        feed_some(watched, peer)
        values = watched.scrape()
    assert value(values, "retempo_stream_received_events_total", stream="cam") == 3
    placed = {
        fate: value(values, "retempo_stream_events_total", stream="cam", fate=fate)
        for fate in FATES
    }
    assert placed == {"binned": 2, "late": 1, "invalid": 0, "masked": 0, "shed": 0}
    assert value(values, "retempo_unaccounted_events") == 0
    assert value(values, "retempo_stream_decisions_total", stream="cam") == 2
    assert value(values, "retempo_stream_queue_messages", stream="cam") == 0
    assert value(values, "retempo_streams") == 1
    assert value(values, "retempo_messages_total") == 3
    assert value(values, "retempo_label_info", index="1", label="on") == 1
    latency = "retempo_stream_decision_latency_seconds"
    assert value(values, f"{latency}_count", stream="cam") == 2
    assert value(values, f"{latency}_bucket", stream="cam", le="+Inf") == 2
    assert value(values, f"{latency}_sum", stream="cam") > 0


def test_a_stream_that_has_ended_disappears_and_its_sums_stay() -> None:
    with watched_daemon() as watched, Peer(watched.daemon.feed) as peer:
        at = feed_some(watched, peer)
        before = watched.scrape()
        peer.send(encode_message("end", no_events(GRID, 2_000), at))
        peer.receive_until(Ended)
        after = watched.scrape()
    assert not any(("stream", "cam") in labels for _, labels in after)
    for name in ("retempo_received_events_total", "retempo_decision_latency_seconds_count"):
        assert value(after, name) == value(before, name) > 0
    assert value(after, "retempo_events_total", fate="late") == 1
    assert value(after, "retempo_decisions_total") == value(before, "retempo_decisions_total") + 1
    assert value(after, "retempo_streams") == 0


def test_a_network_shows_its_steps_its_time_step_and_its_model() -> None:
    with (
        watched_daemon(served=serving(0), facts=None) as watched,
        Peer(watched.daemon.feed) as peer,
    ):
        feed_some(watched, peer)
        values = watched.scrape()
    assert value(values, "retempo_stream_dt_seconds", stream="cam") == pytest.approx(1e-3)
    assert value(values, "retempo_stream_step_seconds_count", stream="cam") == 2
    assert value(values, "retempo_stream_step_seconds_sum", stream="cam") > 0
    assert value(values, "retempo_stream_label", stream="cam") >= 0
    (model,) = (dict(labels) for name, labels in values if name == "retempo_model_info")
    assert (model["model"], model["engine"], model["dt_us"]) == ("m.onnx", "sparse", "1000")
    assert len(model["sha256"]) == 64


def test_a_breach_of_the_sum_rule_is_a_metric_and_a_line() -> None:
    with watched_daemon() as watched, Peer(watched.daemon.feed) as peer:
        feed_some(watched, peer)
        counters = watched.servers[0]._streams["cam"].pipeline.counters
        counters.received += 7
        values = watched.scrape()
        counters.received -= 7
        assert value(watched.scrape(), "retempo_unaccounted_events") == 0
    assert value(values, "retempo_unaccounted_events") == 7
    lines = map(msgspec.json.decode, watched.daemon.log.getvalue().splitlines())
    (line,) = (line for line in lines if line["event"] == "unaccounted")
    assert (line["level"], line["stream"], line["events"]) == ("error", "cam", 7)


def test_every_family_is_on_the_page_and_what_parts_have_registered() -> None:
    with watched_daemon() as watched, Peer(watched.daemon.feed) as peer:
        gauges = watched.servers[0].gauges
        gauges.add("retempo_test_age_seconds", "A test's.", lambda: 4.5)
        gauges.add("retempo_test_failures_total", "A test's.", lambda: 1 // 0, "counter")
        feed_some(watched, peer)
        status, content_type, body = fetch(watched.url, "/metrics")
    assert (status, content_type.partition(";")[0]) == (200, "text/plain")
    values = values_of(body)
    assert value(values, "retempo_test_age_seconds") == 4.5
    assert value(values, "retempo_subscriber_overflows_total") == 0
    assert "retempo_test_failures_total NaN" in body
    typed = {line.split()[2] for line in body.splitlines() if line.startswith("# TYPE")}
    for family in FAMILIES:
        assert family.name + ("_info" if family.kind == "info" else "") in typed


def test_histograms_of_many_streams_are_left_out_and_their_sums_stay() -> None:
    with watched_daemon() as watched, Peer(watched.daemon.feed) as peer:
        for k in range(MOST_HISTOGRAMS + 1):
            peer.send(encode_message("open", no_events(GRID, 0), Cursor(f"s{k}", GRID, 1)))
            peer.receive()
        values = watched.scrape()
    names = {name for name, _ in values}
    assert "retempo_stream_step_seconds_bucket" not in names
    assert "retempo_step_seconds_bucket" in names
    assert value(values, "retempo_streams") == MOST_HISTOGRAMS + 1


def test_pages_beside_the_two_do_not_exist_and_a_head_has_no_body() -> None:
    with watched_daemon() as watched:
        assert fetch(watched.url, "/")[0] == 404
        status, _, body = fetch(watched.url, "/healthz", "HEAD")
        assert (status, body) == (200, "")
        assert fetch(watched.url, "/metrics", "POST")[0] == 501


def test_idle_connections_are_bounded_and_do_not_keep_a_scraper_out_for_ever() -> None:
    with watched_daemon() as watched:
        host, port = urlsplit(watched.url).hostname, urlsplit(watched.url).port
        idle = [socket.create_connection((host, port), timeout=10) for _ in range(20)]
        # Those beyond the bound are closed at once, the others when they have been idle.
        assert [connection.recv(1) for connection in idle] == [b""] * 20
        for connection in idle:
            connection.close()
        assert fetch(watched.url, "/healthz")[0] == 200


def test_a_gauge_has_one_name_of_the_right_form() -> None:
    gauges = Gauges()
    gauges.add("retempo_a_seconds", "A.", lambda: 1.0)
    with pytest.raises(ValueError, match="registered already"):
        gauges.add("retempo_a_seconds", "A.", lambda: 1.0)
    for name in ("a", "retempo_A", "retempo_b_total"):
        with pytest.raises(ValueError, match="is called retempo_"):
            gauges.add(name, "A.", lambda: 1.0)


def test_a_histogram_tells_quantiles_to_within_a_bucket() -> None:
    histogram = Histogram()
    assert quantile(BOUNDS_US, histogram.counts, 0.5) is None
    histogram.add(15.0, 98)
    histogram.add(3e6, 2)
    assert histogram.sum_us == 98 * 15 + 6e6
    median = quantile(BOUNDS_US, histogram.counts, 0.5)
    assert median is not None
    assert 10 < median <= 20
    assert quantile(BOUNDS_US, histogram.counts, 0.99) == BOUNDS_US[-1]
    other = histogram.copy()
    other.merge(histogram)
    assert sum(other.counts) == 200
    assert sum(histogram.counts) == 100
