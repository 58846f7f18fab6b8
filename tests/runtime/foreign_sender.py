"""A sender that knows Retempo by docs/wire-format.md alone: libzmq, and bytes written by hand."""

import struct
import sys

import zmq


def packed(value: object) -> bytes:
    """MessagePack of the few types that a header needs."""
    if isinstance(value, dict):
        body = b"".join(packed(key) + packed(item) for key, item in value.items())
        return bytes([0x80 | len(value)]) + body
    if isinstance(value, str):
        return bytes([0xD9, len(value)]) + value.encode()
    assert isinstance(value, int)
    return b"\xd3" + struct.pack(">q", value)


def header(kind: str, sequence: int, count: int, start_us: int, end_us: int, sent: int) -> bytes:
    geometry = {"kind": "grid", "width": 8, "height": 6, "polarities": 2}
    fields = {"v": 1, "kind": kind, "stream": "foreign", "epoch": 77, "sequence": sequence}
    fields |= {"geometry": geometry, "count": count, "t_start_us": start_us, "t_end_us": end_us}
    return packed(fields | {"sent": sent, "lost": 0, "clock": "sensor"})


def main(endpoint: str, messages: int, events: int) -> None:
    with zmq.Context() as context, context.socket(zmq.DEALER) as dealer:
        dealer.setsockopt(zmq.LINGER, 0)
        dealer.setsockopt(zmq.RCVTIMEO, 10_000)
        dealer.connect(endpoint)
        dealer.send_multipart([header("open", 0, 0, 0, 0, 0), b""])
        dealer.recv()
        for k in range(messages):
            times = struct.pack(f"<{events}H", *(i * 900 // events for i in range(events)))
            columns = struct.pack(f"<{events}H", *(i % 8 for i in range(events)))
            rows = struct.pack(f"<{events}H", *(i % 6 for i in range(events)))
            on = bytes(i % 2 for i in range(events))
            head = header("events", k, events, k * 1000, (k + 1) * 1000, k * events)
            dealer.send_multipart([head, times + columns + rows + on])
        last = header("end", messages, 0, 0, messages * 1000, messages * events)
        dealer.send_multipart([last, b""])
        while b"ended" not in (reply := dealer.recv()):
            if b"credit" not in reply:
                sys.exit(f"unexpected: {reply!r}")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
