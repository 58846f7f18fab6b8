"""A device as a source: a thread reads it, whoever iterates takes its chunks."""

from collections.abc import Iterator
from dataclasses import replace
from threading import Event, Thread

from retempo.sensors.errors import LiveError
from retempo.sensors.events import Clock, EventChunk
from retempo.sensors.geometry import Geometry
from retempo.sensors.live.chunk_queue import MOST_EVENTS, ChunkQueue, Overload
from retempo.sensors.live.device import Device
from retempo.sensors.live.progress import Progress

# How often silence is told.
HEARTBEAT_S = 0.005
_LOOK_S = 0.02


class LiveStream:
    """A device that is open, as a live source; it can be iterated once.

    Iterating ends when the device does or after `stop`, in both cases behind the last chunk that
    has arrived. What arrives while nobody takes it waits in a queue of `most_events` events;
    `overload` says what becomes of more.

    Iterating raises:
        LiveError: the device is gone, behind the last chunk that it gave; or a second iteration.
    """

    def __init__(
        self,
        device: Device,
        overload: Overload = "shed_oldest",
        *,
        most_events: int = MOST_EVENTS,
        heartbeat_s: float = HEARTBEAT_S,
    ) -> None:
        self.device = device
        self._heartbeat_s = heartbeat_s
        self._queue = ChunkQueue(overload, most_events)
        self._progress = Progress(device.geometry, device.name, foresees=device.foresees)
        self._stop = Event()
        self._thread = Thread(target=self._read, name=f"retempo {device.name}", daemon=True)
        self._error: Exception | None = None
        self._begun = False

    @property
    def name(self) -> str:
        """The name of the device."""
        return self.device.name

    @property
    def about(self) -> str:
        """What is read, as one clause for a person."""
        return self.device.about

    @property
    def geometry(self) -> Geometry:
        """The addresses that can fire."""
        return self.device.geometry

    @property
    def clock(self) -> Clock:
        """Whose clock the times are of."""
        return self.device.clock

    def stop(self) -> None:
        """End the stream behind what has arrived; see `LiveSource`."""
        # A plain flag: a signal's handler may run while its own thread holds any lock.
        self._stop.set()

    def close(self) -> None:
        """Let go of the device, whether or not it has been iterated."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        elif not self._begun:
            self._begun = True
            self.device.close()

    def __iter__(self) -> Iterator[EventChunk]:
        if self._begun:
            raise LiveError(f"{self.name} is live and can be read once; open it again")
        self._begun = True
        return self._chunks()

    def _chunks(self) -> Iterator[EventChunk]:
        self._thread.start()
        sequence = 0
        try:
            while True:
                # Asked before looking, so that nothing is put between the look and the end.
                ended = not self._thread.is_alive()
                chunk = self._queue.get(0.0 if ended else _LOOK_S)
                if chunk is not None:
                    yield replace(chunk, sequence=sequence)
                    sequence += 1
                elif ended:
                    break
        finally:
            self._stop.set()
            self._thread.join()
        if self._error is not None:
            raise self._error

    def _read(self) -> None:
        try:
            last = False
            while not last and not self._stop.is_set():
                arrival = self.device.read(self._heartbeat_s)
                last = arrival.last
                chunk = self._progress.take(arrival)
                if chunk is not None:
                    self._queue.put(chunk, self._stop.is_set)
            untold = self._progress.finish()
            if untold is not None:
                self._queue.put(untold, self._stop.is_set)
        except Exception as error:  # noqa: BLE001  (it is raised again where it is awaited)
            self._error = error
        finally:
            self.device.close()
