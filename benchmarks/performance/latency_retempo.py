"""Retempo end to end: the publisher, the daemon, and a third process that waits for decisions."""

import time

from benchmarks.performance.paces import Arrival, Pace, Readings, save
from benchmarks.performance.processes import say_ready
from retempo.runtime.publisher import Sender
from retempo.runtime.subscriber import Decisions
from retempo.sensors.collect import read_all
from retempo.sensors.files import open_recording


def publish_paced(endpoint: str, out: str, *paths: str) -> None:
    """Publish recordings one after the other, as `retempo publish --speed 1` does."""
    paces: dict[str, Pace] = {}
    with Sender(endpoint) as sender:
        for number, path in enumerate(paths):
            source, clock = open_recording(path), Readings()
            events = read_all(source)
            sender.publish(source, stream=str(number), speed=1.0, clock=clock)
            # It reads the clock once for its report, then once where its pace begins.
            paces[str(number)] = (clock.said[1], int(events.t_us[0]), int(events.t_us.max()))
    save(out, paces)


def listen(endpoint: str, out: str, streams: str) -> None:
    """Wait for decisions until as many streams have ended."""
    arrivals: list[Arrival] = []
    left = int(streams)
    with Decisions(endpoint, timeout_s=60.0) as decisions:
        say_ready()
        for decision in decisions:
            now_s = time.monotonic()
            if not decision.final:
                arrivals.append((decision.stream, decision.t_us, now_s))
                continue
            left -= 1
            if not left:
                break
    save(out, arrivals)
