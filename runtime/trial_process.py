"""A trial in a child process: what kills it kills nothing else."""

import os
import selectors
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress

import msgspec

from retempo.runtime.errors import ModelError
from retempo.runtime.trial import READY, Outcome, TrialSettings

_COMMAND = (sys.executable, "-P", "-m", "retempo.runtime.trial")
_MOST_OUTPUT = 1 << 16
# Numba compiles for half a minute where its cache is empty, longer on a busy machine.
_PREPARE_S = 300.0


class Trials:
    """Runs one trial at a time; `stop` ends it from another thread."""

    def __init__(self, command: Sequence[str] = _COMMAND) -> None:
        self._command = tuple(command)
        self._lock = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None
        self._stopped = False

    def __call__(self, content: bytes, settings: TrialSettings) -> Outcome:
        """Try a model in a child process.

        Raises:
            ModelError: it is refused, or the child crashed or took too long.
        """
        with self._lock:
            if self._stopped:
                raise ModelError(f"{settings.name} was not tried: the daemon stops", "time")
            self._child = subprocess.Popen(
                [*self._command, msgspec.json.encode(settings).decode()],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                # A Ctrl-C for the daemon, which ends the trial itself, is none for the child.
                start_new_session=True,
            )
        child = self._child
        try:
            _wait_until_ready(child, settings.name)
            out, complaint = child.communicate(content, timeout=settings.time_s)
        except subprocess.TimeoutExpired as error:
            text = (
                f"{settings.name} could not be tried within {settings.time_s:g} s; raise [models] "
                "trial_time if it is that large"
            )
            raise ModelError(text, "time") from error
        finally:
            with suppress(ProcessLookupError):
                child.kill()
            child.communicate()
        return outcome_of(child.returncode, out, complaint, settings)

    def stop(self) -> None:
        """End the trial that runs, and let no other begin."""
        with self._lock:
            self._stopped = True
            if self._child is not None and self._child.poll() is None:
                self._child.kill()


def _wait_until_ready(child: "subprocess.Popen[bytes]", name: str) -> None:
    """Wait until the child has compiled what needs no model; it may have died of it."""
    assert child.stdout is not None  # noqa: S101
    with selectors.DefaultSelector() as selector:
        selector.register(child.stdout, selectors.EVENT_READ)
        if not selector.select(_PREPARE_S):
            raise ModelError(
                f"{name} could not be tried: kernels were not compiled within {_PREPARE_S:g} s; "
                "run retempo warmup",
                "time",
            )
    os.read(child.stdout.fileno(), len(READY))


def outcome_of(code: int, out: bytes, complaint: bytes, settings: TrialSettings) -> Outcome:
    """Return what a trial has printed.

    Raises:
        ModelError: it refuses the model, or has died.
    """
    name = settings.name
    if code == 0:
        try:
            outcome = msgspec.json.decode(out[:_MOST_OUTPUT], type=Outcome)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise ModelError(f"the trial of {name} printed no result: {error}", "crash") from error
        if outcome.kind:
            raise ModelError(outcome.reason, outcome.kind)
        return outcome
    last = complaint.decode(errors="replace").strip().splitlines()[-1:]
    if code == -signal.SIGXCPU:
        raise ModelError(f"{name} took more processor time than [models] trial_time", "time")
    if b"MemoryError" in complaint or b"bad_alloc" in complaint:
        raise ModelError(f"{name} takes more memory than [models] trial_memory allows", "memory")
    died = f"by {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
    said = f": {last[0][:200]}" if last else ""
    kind = "memory" if code == -signal.SIGKILL else "crash"
    raise ModelError(f"the process that tried {name} died {died}{said}", kind)


Try = Callable[[bytes, TrialSettings], Outcome]
