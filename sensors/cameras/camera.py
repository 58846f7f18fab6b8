"""What both packages say of a camera that they find."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Listed:
    """A camera that is there; `trouble` says why it may not open, if so."""

    model: str
    name: str
    serial: str
    connection: str = ""
    trouble: str = ""


def reason_of(error: BaseException) -> str:
    """Return what a driver complains of as one line, without the stack that some put around it."""
    lines = [line.strip() for line in str(error).split("Stacktrace:")[0].splitlines()]
    told = [line for line in lines if line.startswith("RuntimeError: ")] or [
        line for line in lines if line
    ]
    return told[0].removeprefix("RuntimeError: ") if told else type(error).__name__
