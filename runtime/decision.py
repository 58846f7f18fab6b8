"""A decision: what a stream is taken for at the end of a bin."""

import msgspec


class Decision(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The label and the scores of a stream at an instant of event time.

    `epoch` names a run of the stream and `sequence` numbers its decisions from 0, so that a reader
    sees what it missed and what it has had: no two decisions have all three alike.
    `t_us` is the end of the bin. `latency_us` runs from the arrival of the message that closed the
    bin to the decision, on the host's clock; `step_us` is the part that the network's step took. A
    live message that no filter looks at is binned and stepped in one call of compiled code, see
    `runtime.direct`: there the binning is part of it. `final` marks the last decision of a stream
    that has ended. `model` is the model that decided: the first 12 digits of its file's SHA-256.
    """

    stream: str
    sequence: int
    t_us: int
    label: str
    scores: list[float]
    dt_us: int
    latency_us: float
    step_us: float
    counters: dict[str, int]
    final: bool = False
    epoch: int = 0
    model: str = ""


def encode_json(decision: Decision) -> bytes:
    """Return the decision as one line of JSON."""
    return msgspec.json.encode(decision)


def encode_msgpack(decision: Decision) -> bytes:
    """Return the decision as MessagePack."""
    return msgspec.msgpack.encode(decision)
