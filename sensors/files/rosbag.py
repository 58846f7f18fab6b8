"""ROS bags: `.bag` of ROS 1, `.mcap`, `.db3` and folders of ROS 2, read by the rosbags package.

One topic of events is read: the only one, or the one that the part names. Times of `EventArray`,
and of packets encoded as `mono` and `libcaer`, are ROS times; those of `evt3` are the sensor's.
"""

from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from retempo.sensors.columns import AnyColumns, no_events
from retempo.sensors.errors import RecordingError
from retempo.sensors.evt import Coding, evt_decoder
from retempo.sensors.files.format import (
    Format,
    Opened,
    OpenRequest,
    listed,
    reason,
    without_columns,
)
from retempo.sensors.files.ros_messages import (
    Message,
    MessageError,
    decode_array,
    decode_words,
    read_message,
)
from retempo.sensors.files.table_geometry import size_of
from retempo.sensors.geometry import GridGeometry
from retempo.sensors.problems import problem

_ROS1 = b"#ROSBAG V"
_MCAP = b"\x89MCAP0\r\n"
_SQLITE = b"SQLite format 3\0"
_ARRAYS = ("dvs_msgs/msg/EventArray", "prophesee_event_msgs/msg/EventArray")
_PACKETS = ("event_camera_msgs/msg/EventPacket", "event_array_msgs/msg/EventArray")
_WORDS = ("mono", "libcaer")
_EVT3 = "evt3"
# Packets of the camera's own inputs, not of pixels.
_TRIGGERS = "trigger"


@dataclass(frozen=True, slots=True)
class _Stored:
    """A message as stored."""

    data: bytes
    packet: bool


def _sniff(head: bytes, path: Path) -> bool:
    return head.startswith((_ROS1, _MCAP, _SQLITE)) or (not head and path.is_dir())


def _open(request: OpenRequest) -> Opened:
    without_columns(request)
    path, geometry = request.path, request.geometry
    if geometry is not None and not isinstance(geometry, GridGeometry):
        raise RecordingError(
            f"{path} holds events of a pixel grid, the geometry given is {geometry}; "
            "give a GridGeometry or none"
        )
    kind = _kind(request.head)
    with closing(_Bag(path, kind)) as bag:
        topic = _topic(request, bag.topics())
    try:
        with closing(_stored(path, kind, topic)) as messages:
            first = next(messages, None)
    except RecordingError as error:
        raise RecordingError(f"{path} has no readable message on {topic}: {error}") from error
    if first is not None:
        try:
            message = read_message(first.data, first.packet, kind != "ros1")
        except MessageError as error:
            raise RecordingError(
                f"{path} has a damaged first message on {topic}: {error}"
            ) from error
        _check_encoding(path, topic, message)
        geometry = geometry or size_of(message.width, message.height)
    if geometry is None:
        raise RecordingError(
            f"{path} states no sensor size on {topic}; give its geometry, as in --geometry 640x480"
        )
    return Opened(geometry, partial(_decode, path, kind, topic), may_go_back=True)


def _decode(path: Path, kind: str, topic: str) -> Iterator[AnyColumns]:
    """Decode message by message; one that is damaged is counted and passed over."""
    evt3 = evt_decoder(Coding("3"))
    state: Any = None
    with closing(_stored(path, kind, topic)) as messages:
        try:
            for number, stored in enumerate(messages):
                try:
                    message = read_message(stored.data, stored.packet, kind != "ros1")
                    if message.encoding == _EVT3:
                        state = state or evt3.start()
                        state, columns = evt3.feed(state, message.body[: message.count])
                        yield columns
                    elif message.encoding in _WORDS:
                        yield decode_words(message)
                    elif not message.encoding:
                        yield decode_array(message)
                    elif message.encoding != _TRIGGERS:
                        raise MessageError(f"it is encoded as {message.encoding!r}")
                except MessageError as error:
                    yield no_events(problem("damaged", f"message {number} of {topic}: {error}", 0))
        except FileNotFoundError as error:
            raise RecordingError(f"{path} cannot be read: {error.strerror}") from error
        except RecordingError as error:
            yield no_events(problem("damaged", str(error), 0))
    if state is not None:
        yield evt3.finish(state)


def _check_encoding(path: Path, topic: str, message: Message) -> None:
    if message.encoding not in ("", _EVT3, _TRIGGERS, *_WORDS):
        raise RecordingError(
            f"{path} has packets encoded as {message.encoding!r} on {topic}, expected "
            f"{', '.join((_EVT3, *_WORDS))}; record it again in one of them"
        )


def _topic(request: OpenRequest, topics: dict[str, str]) -> str:
    path, wanted = request.path, request.part
    known = [topic for topic, kind in topics.items() if kind in _ARRAYS + _PACKETS]
    held = listed(known)
    if not known:
        others = listed(f"{topic} ({kind})" for topic, kind in topics.items())
        raise RecordingError(
            f"{path} has no topic of events; its topics are {others or '(none)'}, expected one of "
            f"{', '.join(_ARRAYS + _PACKETS[:1])}"
        )
    if wanted:
        for topic in known:
            if topic.strip("/") == wanted.strip("/"):
                return topic
        raise RecordingError(f"{path} has no events on {wanted}; those with events are {held}")
    if len(known) > 1:
        raise RecordingError(
            f"{path} has events on several topics: {held}; say which, as in {path.name}#{known[0]}"
        )
    return known[0]


def _kind(head: bytes) -> str:
    signatures = {_ROS1: "ros1", _MCAP: ".mcap", _SQLITE: ".db3"}
    return next((kind for begin, kind in signatures.items() if head.startswith(begin)), "dir")


def _stored(path: Path, kind: str, topic: str) -> Generator[_Stored, None, None]:
    """Read the messages of a topic in the order in which they were recorded.

    Raises:
        RecordingError: the bag cannot be read on.
    """
    with closing(_Bag(path, kind)) as bag:
        yield from bag.messages(topic)


class _Bag:
    """A bag of any kind, opened; every error of its reader becomes ours."""

    def __init__(self, path: Path, kind: str) -> None:
        self._path = path
        try:
            if kind == "ros1":
                self._reader: Any = import_module("rosbags.rosbag1").Reader(path)
            else:
                # By what it holds, since rosbags itself goes by the suffix.
                self._reader = import_module("rosbags.rosbag2").Reader.STORAGE_PLUGINS[kind](path)
        except ImportError as error:
            raise RecordingError(
                f"{path} is a ROS bag, which needs rosbags; pip install 'retempo[ros]'"
            ) from error
        except FileNotFoundError as error:
            raise RecordingError(f"{path} cannot be read: {reason(error)}") from error
        try:
            self._reader.open()
        # What a damaged bag raises is not defined.
        except Exception as error:
            raise RecordingError(
                f"{path} is no readable ROS bag: {reason(error)}; copy it again, or mend it with "
                "rosbag reindex or ros2 bag reindex"
            ) from error

    def close(self) -> None:
        self._reader.close()

    def topics(self) -> dict[str, str]:
        return {each.topic: each.msgtype for each in self._reader.connections}

    def messages(self, topic: str) -> Iterator[_Stored]:
        wanted = [each for each in self._reader.connections if each.topic == topic]
        try:
            for connection, _, data in self._reader.messages(wanted):
                yield _Stored(bytes(data), connection.msgtype in _PACKETS)
        except GeneratorExit:
            raise
        except Exception as error:
            raise RecordingError(f"it cannot be read on: {reason(error)}") from error


FORMAT = Format("ROS bag", (".bag", ".mcap", ".db3"), _sniff, _open)
