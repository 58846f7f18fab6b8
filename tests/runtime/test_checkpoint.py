"""The file of a checkpoint: read whole or refused by name, whatever has become of its bytes."""

import errno
import hashlib
import os
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retempo.runtime.checkpoint import (
    Checkpoint,
    FinishedEntry,
    Identity,
    StreamEntry,
    check_head,
    decode_checkpoint,
    described,
    encode_checkpoint,
)
from retempo.runtime.checkpoint_folder import CheckpointFolder, read_checkpoint
from retempo.runtime.errors import CheckpointError, ConfigError
from retempo.runtime.saved_state import Saved
from retempo.sensors.wire_header import GridHeader

IDENTITY = Identity("a" * 64, "b" * 64, "sparse")
STATE: Saved = {
    "ints": np.arange(5),
    "floats": np.linspace(0, 1, 6).reshape(2, 3),
    "singles": np.zeros((2, 0, 3), np.float32),
    "marks": np.array([1 << 63], np.uint64),
    "mask": np.array([[True, False]]),
    "deep": np.array(3, np.int32),
    "count": (1 << 62) - 1,
    "share": 0.1,
    "label": "ü",
    "nothing": None,
}


def entry(name: str, **more: Any) -> StreamEntry:
    given = {"stepped": 4, "expected": 5, "sent": 50, "lost": 1, "missing": 2, "duplicates": 3}
    return StreamEntry(name=name, epoch=7, geometry=GridHeader(8, 6, 2), rung=0, **(given | more))


def example(name: str = "a") -> Checkpoint:
    other = entry("b", run=9, stepped=-1, expected=0)
    return Checkpoint(
        IDENTITY,
        (described(entry(name), STATE), described(other, {})),
        (FinishedEntry("c", 1, 2, 3, 4, {"received": 3}), FinishedEntry("d", 1, 2, 3, 4, None)),
        (("a", 7, 0, b"{}"),),
    )


def content_of(checkpoint: Checkpoint) -> bytes:
    return b"".join(encode_checkpoint(checkpoint))


def test_what_is_read_is_what_was_written() -> None:
    found = decode_checkpoint(content_of(example()))
    expected = example()
    assert found.identity == expected.identity
    assert (found.finished, found.history) == (expected.finished, expected.history)
    assert [s.entry for s in found.streams] == [s.entry for s in expected.streams]
    assert set(found.streams[0].state) == set(STATE)
    for name, value in STATE.items():
        taken = found.streams[0].state[name]
        if isinstance(value, np.ndarray):
            assert isinstance(taken, np.ndarray)
            assert (taken.dtype, taken.shape) == (value.dtype, value.shape)
            np.testing.assert_array_equal(taken, value)
            assert taken.flags.writeable
        else:
            assert (type(taken), taken) == (type(value), value)


def test_every_byte_counts() -> None:
    content = content_of(example())
    for position in range(len(content)):
        flipped = bytearray(content)
        flipped[position] ^= 1 << position % 8
        with pytest.raises(CheckpointError):
            decode_checkpoint(bytes(flipped))
    for length in range(len(content)):
        with pytest.raises(CheckpointError):
            decode_checkpoint(content[:length])
    with pytest.raises(CheckpointError, match="truncated or damaged"):
        decode_checkpoint(content + b"\0")


@settings(max_examples=300)
@given(st.binary(max_size=300))
def test_bytes_that_nobody_wrote_are_refused(content: bytes) -> None:
    with pytest.raises(CheckpointError):
        decode_checkpoint(content)


def sealed(index: Any, arrays: bytes = b"") -> bytes:
    """A file of any index, with a right checksum: what a hostile writer would make."""
    body = index if isinstance(index, bytes) else msgspec.msgpack.encode(index)
    head = struct.pack("<8sIIQ", b"RETEMPOC", 1, len(body), len(arrays))
    return head + hashlib.sha256(head + body + arrays).digest() + body + arrays


def index_with(**stream: Any) -> dict[str, Any]:
    plain = msgspec.to_builtins(entry("a", stepped=0, expected=1)) | stream
    return {"model": "m", "settings": "s", "engine": "e", "streams": [plain]}


@pytest.mark.parametrize(
    ("index", "message"),
    [
        (b"\xc1", "index cannot be read"),
        ({"model": "m"}, "index cannot be read"),
        (index_with(arrays=[["a", "float32", [1 << 39, 1 << 39]]]), "longer than the file"),
        (index_with(arrays=[["a", "float32", [-1]]]), "index cannot be read"),
        (index_with(arrays=[["a", "object", [1]]]), "which none is"),
        (index_with(arrays=[["a", "uint8", [1] * 9]]), "which none is"),
        (index_with(arrays=[["a", "uint8", [3]]]), "1 bytes follow"),
        (index_with(arrays=[["a", "uint8", [2]], ["a", "uint8", [2]]]), "holds a twice"),
        (index_with(plain={"a": [1]}), "index cannot be read"),
        (index_with(epoch=-1), "index cannot be read"),
        (index_with() | {"streams": index_with()["streams"] * 2}, "two streams of one name"),
    ],
)
def test_a_hostile_index_is_refused_by_name(index: Any, message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        decode_checkpoint(sealed(index, b"\0\1\2\3"))


@settings(max_examples=200)
@given(st.binary(max_size=200), st.integers(0, 1_000))
def test_an_index_of_damaged_bytes_with_a_right_checksum_is_refused_or_read(
    junk: bytes, at: int
) -> None:
    index = msgspec.msgpack.encode(index_with())
    at %= len(index)
    try:
        decode_checkpoint(sealed(index[:at] + junk + index[at + len(junk) :]))
    except CheckpointError:
        return


def test_a_version_to_come_is_refused_by_name() -> None:
    content = bytearray(content_of(example()))
    content[8] = 2
    with pytest.raises(CheckpointError, match="is of version 2, this Retempo reads version 1"):
        decode_checkpoint(bytes(content))


def test_a_head_that_claims_much_takes_no_memory() -> None:
    head = struct.pack("<8sIIQ", b"RETEMPOC", 1, 2**32 - 1, 2**63)
    with pytest.raises(CheckpointError, match="truncated or damaged"):
        check_head(head, 100)
    with pytest.raises(CheckpointError, match="truncated or damaged"):
        check_head(struct.pack("<8sIIQ", b"RETEMPOC", 1, 0, 2**40), 2**40 + 56)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[CheckpointFolder]:
    held = CheckpointFolder(tmp_path / "deep" / "checkpoints")
    yield held
    held.close()


def names(folder: CheckpointFolder) -> list[str]:
    return sorted(p.name for p in folder.path.iterdir() if not p.name.startswith("."))


def stream_of(checkpoint: Checkpoint) -> str:
    return checkpoint.streams[0].entry.name


def newest(folder: CheckpointFolder) -> tuple[str | None, list[str]]:
    refused: list[str] = []
    found = folder.newest(stream_of, lambda path, error: refused.append(f"{path.name}: {error}"))
    return found, refused


def test_two_generations_are_kept_and_the_newest_is_read(folder: CheckpointFolder) -> None:
    assert newest(folder) == (None, [])
    for k in range(5):
        folder.write(encode_checkpoint(example(f"s{k}")))
    assert names(folder) == ["checkpoint.4", "checkpoint.5"]
    assert newest(folder) == ("s4", [])
    assert (folder.path / "checkpoint.5").stat().st_mode & 0o777 == 0o600


def test_a_damaged_checkpoint_is_refused_and_the_one_before_it_used_and_kept(
    folder: CheckpointFolder,
) -> None:
    for k in range(3):
        folder.write(encode_checkpoint(example(f"s{k}")))
    path = folder.path / "checkpoint.3"
    path.write_bytes(path.read_bytes()[:-1])
    found, refused = newest(folder)
    assert found == "s1"
    assert len(refused) == 1
    assert refused[0].startswith("checkpoint.3: ")
    folder.write(encode_checkpoint(example("s4")))
    assert names(folder) == ["checkpoint.2", "checkpoint.4"]
    for name in names(folder):
        (folder.path / name).write_bytes(b"")
    assert newest(folder)[0] is None
    assert len(newest(folder)[1]) == 2


def test_strange_files_are_left_alone(folder: CheckpointFolder) -> None:
    for name in ("checkpoint.x", "checkpoint.", "checkpoint.٣", "checkpoint." + "9" * 30, "other"):
        (folder.path / name).write_bytes(b"?")
    (folder.path / "checkpoint.9").mkdir()
    before = names(folder)
    folder.write(encode_checkpoint(example()))
    assert names(folder) == sorted([*before, "checkpoint.1"])
    assert newest(folder) == ("a", [])


def test_a_folder_has_one_daemon(folder: CheckpointFolder) -> None:
    with pytest.raises(ConfigError, match="another daemon has"):
        CheckpointFolder(folder.path)
    folder.close()
    CheckpointFolder(folder.path).close()


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EDQUOT, errno.EIO])
def test_a_checkpoint_that_cannot_be_written_leaves_those_before_it(
    folder: CheckpointFolder, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    folder.write(encode_checkpoint(example("s0")))

    def full(_descriptor: int) -> None:
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patched:
        patched.setattr("retempo.runtime.checkpoint_folder.os.fsync", full)
        with pytest.raises(OSError, match=os.strerror(code)):
            folder.write(encode_checkpoint(example("s1")))
    left = sorted(path.name for path in folder.path.iterdir())
    assert left == [".checkpoint.lock", "checkpoint.1"]
    folder.write(encode_checkpoint(example("s2")))
    assert newest(folder) == ("s2", [])


def test_a_limit_on_file_sizes_is_an_error_like_any(tmp_path: Path) -> None:
    """A real limit of the kernel, in a process of its own."""
    script = (
        "import resource, signal, sys; from pathlib import Path;"
        "from retempo.runtime.checkpoint_folder import CheckpointFolder;"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096));"
        "folder = CheckpointFolder(Path(sys.argv[1]));"
        "folder.write([b'small']);\n"
        "try: folder.write([bytes(10_000)])\n"
        "except OSError as error: print(error.strerror)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "limited")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "File too large"
    assert sorted(p.name for p in (tmp_path / "limited").iterdir()) == [
        ".checkpoint.lock",
        "checkpoint.1",
    ]


def test_a_folder_that_vanishes_is_made_anew(folder: CheckpointFolder) -> None:
    folder.write(encode_checkpoint(example("s0")))
    for path in folder.path.iterdir():
        path.unlink()
    folder.path.rmdir()
    folder.write(encode_checkpoint(example("s1")))
    assert newest(folder) == ("s1", [])
    with pytest.raises(ConfigError, match="another daemon has"):
        CheckpointFolder(folder.path)


def test_a_folder_that_cannot_be_made_is_an_error_of_each_write(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    folder = CheckpointFolder(tmp_path / "file" / "below")
    assert newest(folder) == (None, [])
    for _ in range(2):
        with pytest.raises(OSError, match="Not a directory"):
            folder.write(encode_checkpoint(example()))
    folder.close()


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="it cannot be read"):
        read_checkpoint(tmp_path)
