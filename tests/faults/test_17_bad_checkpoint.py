"""Fault 17: a damaged checkpoint, or another model's, is refused and the one before it is used."""

import secrets
import shutil
import signal
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from retempo.runtime.checkpoint import encode_checkpoint
from retempo.runtime.checkpoint_folder import read_checkpoint
from retempo.runtime.feed import Credit
from retempo.runtime.subscriber import Decisions
from tests.daemons import TIMEOUT_S, Daemon, serving
from tests.faults.rig import Hand, random_chunks, replayed, until_final, verdict
from tests.serve_config import deployed, write_config

pytestmark = pytest.mark.fault(17)

CHUNKS = random_chunks(30, 60, seed=17)
# What the killed daemon has stepped, and has in its last checkpoint.
STEPPED = 20


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def _of_another_model(path: Path) -> None:
    """Whole and rightly sealed, but not this model's."""
    checkpoint = read_checkpoint(path)
    identity = replace(checkpoint.identity, model=secrets.token_hex(32))
    path.write_bytes(b"".join(encode_checkpoint(replace(checkpoint, identity=identity))))


@dataclass(frozen=True)
class Killed:
    """The folder of a daemon that was killed, and the run of its stream."""

    folder: Path
    epoch: int


def _durable(hand: Hand, sequence: int) -> None:
    """Wait until a checkpoint holds all up to a message."""
    while True:
        reply = hand.reply()
        assert isinstance(reply, Credit)
        if reply.durable is not None and reply.durable >= sequence:
            return


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Killed:
    folder = tmp_path_factory.mktemp("killed")
    config = write_config(folder, '[checkpoint]\nfolder = "checkpoints"\nevery = "20ms"')
    with serving(config) as daemon, Hand(daemon.feed) as hand:
        hand.open()
        for sequence, chunk in enumerate(CHUNKS[:STEPPED]):
            hand.send(chunk)
            if sequence in (STEPPED // 2, STEPPED - 1):
                _durable(hand, sequence)
        daemon.stop(signal.SIGKILL)
        return Killed(folder, hand.epoch)


def _goes_on(daemon: Daemon, epoch: int) -> int:
    """Come back and send what the daemon asks for; returns up to where it stood."""
    with Decisions(daemon.decisions, timeout_s=TIMEOUT_S, after={"hand": (epoch, -1)}) as decisions:
        with Hand(daemon.feed, epoch=epoch) as hand:
            stood = hand.open().acknowledged
            for chunk in CHUNKS[: stood + 1]:
                hand.message(chunk)
            for chunk in CHUNKS[stood + 1 :]:
                hand.send(chunk)
            counters = hand.end(CHUNKS[-1].t_end_us)
        made = until_final(decisions)
    expected, plain = replayed(deployed(daemon.config), CHUNKS)
    assert [verdict(each) for each in made] == expected
    assert counters == plain
    return stood


def _copied(killed: Killed, tmp_path: Path) -> tuple[Path, list[Path]]:
    """The killed daemon's folder anew; returns its configuration and checkpoints, newest last."""
    folder = tmp_path / "again"
    shutil.copytree(killed.folder, folder)
    files = sorted((folder / "checkpoints").glob("checkpoint.*"), key=lambda p: int(p.suffix[1:]))
    assert len(files) == 2
    return folder / "serve.toml", files


def _refusals(daemon: Daemon) -> dict[str, str]:
    (line,) = [line for line in daemon.stop() if line["event"] == "checkpoint_refused"]
    files = line["files"]
    assert isinstance(files, list)
    return {each["file"]: each["reason"] for each in files}


def test_a_good_checkpoint_is_gone_on_from(killed: Killed, tmp_path: Path) -> None:
    """Else what follows would prove nothing."""
    config, _ = _copied(killed, tmp_path)
    with serving(config) as daemon:
        assert _goes_on(daemon, killed.epoch) == STEPPED - 1
        daemon.stop()


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (_flip, "damaged"),
        (_truncate, "truncated or damaged"),
        (_of_another_model, "it is of the model"),
    ],
)
def test_the_checkpoint_before_a_bad_one_is_used_and_decisions_go_on(
    killed: Killed, tmp_path: Path, damage: Callable[[Path], None], reason: str
) -> None:
    config, files = _copied(killed, tmp_path)
    damage(files[-1])
    with serving(config) as daemon:
        assert 0 <= _goes_on(daemon, killed.epoch) < STEPPED - 1
        refused = _refusals(daemon)
    assert list(refused) == [files[-1].name]
    assert reason in refused[files[-1].name]


def test_where_none_is_good_the_stream_begins_anew(killed: Killed, tmp_path: Path) -> None:
    config, files = _copied(killed, tmp_path)
    for path in files:
        _flip(path)
    with serving(config) as daemon:
        assert _goes_on(daemon, killed.epoch) == -1
        assert sorted(_refusals(daemon)) == sorted(path.name for path in files)
