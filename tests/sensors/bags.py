"""ROS bags as the rosbags package writes them."""

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

rosbag1 = pytest.importorskip("rosbags.rosbag1", reason="rosbags is not installed")
rosbag2 = pytest.importorskip("rosbags.rosbag2", reason="rosbags is not installed")
typesys = pytest.importorskip("rosbags.typesys", reason="rosbags is not installed")

ARRAY, PACKET = "dvs_msgs/msg/EventArray", "event_camera_msgs/msg/EventPacket"
Event = tuple[int, int, int, int]


@cache
def types_of(ros: int) -> Any:
    store = typesys.get_typestore(
        typesys.Stores.ROS1_NOETIC if ros == 1 else typesys.Stores.ROS2_HUMBLE
    )
    time = "time" if ros == 1 else "builtin_interfaces/Time"
    event = f"uint16 x\nuint16 y\n{time} ts\nbool polarity\n"
    sized = "std_msgs/Header header\nuint32 height\nuint32 width\n"
    packet = "uint64 seq\nuint64 time_base\nstring encoding\nbool is_bigendian\nuint8[] events\n"
    found: dict[str, Any] = {}
    for name in ("dvs_msgs", "prophesee_event_msgs"):
        found |= typesys.get_types_from_msg(event, f"{name}/msg/Event")
        found |= typesys.get_types_from_msg(sized + "Event[] events\n", f"{name}/msg/EventArray")
    found |= typesys.get_types_from_msg(sized + packet, PACKET)
    store.register(found)
    return store


class Bag:
    """A bag that is being written; messages are `(topic, type, payload)`."""

    def __init__(self, folder: Path, kind: str) -> None:
        self.ros = 1 if kind == "a.bag" else 2
        self.store = types_of(self.ros)
        self.path = folder / kind
        if self.ros == 1:
            self.writer = rosbag1.Writer(self.path)
        else:
            plugin = getattr(rosbag2.StoragePlugin, kind.upper())
            self.writer = rosbag2.Writer(self.path, version=9, storage_plugin=plugin)
        self.connections: dict[str, Any] = {}
        self.stamp = 0

    def __enter__(self) -> "Bag":
        self.writer.open()
        return self

    def __exit__(self, *_: object) -> None:
        self.writer.close()

    def make(self, name: str, **fields: Any) -> Any:
        return self.store.types[name](**fields)

    def header(self, frame: str) -> Any:
        stamp = self.make("builtin_interfaces/msg/Time", sec=5, nanosec=6)
        extra = {"seq": 7} if self.ros == 1 else {}
        return self.make("std_msgs/msg/Header", stamp=stamp, frame_id=frame, **extra)

    def write(self, topic: str, kind: str, message: Any) -> None:
        self.raw(topic, kind, self.stored(kind, message))

    def stored(self, kind: str, message: Any) -> bytes:
        if self.ros == 1:
            return bytes(self.store.serialize_ros1(message, kind))
        return bytes(self.store.serialize_cdr(message, kind))

    def raw(self, topic: str, kind: str, data: bytes) -> None:
        if topic not in self.connections:
            self.connections[topic] = self.writer.add_connection(topic, kind, typestore=self.store)
        self.stamp += 1_000
        self.writer.write(self.connections[topic], self.stamp, data)

    def array(self, topic: str, events: list[Event], kind: str = ARRAY, frame: str = "cam") -> None:
        self.write(topic, kind, self.events(events, kind, frame))

    def events(self, events: list[Event], kind: str = ARRAY, frame: str = "cam") -> Any:
        made = [
            self.make(
                kind.replace("EventArray", "Event"),
                x=x,
                y=y,
                ts=self.make(
                    "builtin_interfaces/msg/Time", sec=t // 10**6, nanosec=t % 10**6 * 1_000
                ),
                polarity=bool(on),
            )
            for t, x, y, on in events
        ]
        sized = {"header": self.header(frame), "height": 480, "width": 640}
        return self.make(kind, events=made, **sized)

    def packet(self, topic: str, encoding: str, data: bytes, base_ns: int = 0) -> None:
        fields = {"seq": 3, "time_base": base_ns, "encoding": encoding, "is_bigendian": False}
        sized = {"header": self.header("x"), "height": 480, "width": 640}
        payload = np.frombuffer(data, np.uint8)
        self.write(topic, PACKET, self.make(PACKET, events=payload, **sized, **fields))
