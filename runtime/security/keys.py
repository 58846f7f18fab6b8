"""Key pairs of CURVE and the files that hold them.

A secret file, `NAME.key`, is readable by its owner alone. A public file, `NAME.pub`, is one line of
TOML, `NAME = "key"`: put several together and it is the public file of them all. A key is 32 bytes,
written as 40 characters of Z85 (https://rfc.zeromq.org/spec/32/).
"""

import os
import re
import tempfile
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import msgspec
import zmq
from zmq.utils import z85

from retempo.runtime.config import load_config
from retempo.runtime.errors import ConfigError
from retempo.runtime.security.errors import SecurityError

_NAME = r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}"
_Z85 = r"^[0-9a-zA-Z.\-:+=^!/*?&<>()\[\]{}@%$#]{40}$"
_LARGEST_BYTES = 2**20

Key = Annotated[str, msgspec.Meta(pattern=_Z85)]


class _SecretFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    public: Key
    secret: Key


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A public key and its secret, 40 characters each."""

    public: str
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class KeyFiles:
    """Where a new pair lies, and its public key."""

    secret: Path
    public: Path
    key: str


def check_name(name: str) -> None:
    """Check that a key may be called so.

    Raises:
        SecurityError: it may not; a name becomes that of a file.
    """
    if re.fullmatch(_NAME, name) is None:
        raise SecurityError(
            f"a key's name has 1 to 64 letters, digits, - and _, and begins with one of the first "
            f"two; got {name!r}"
        )


def new_keys(name: str, folder: Path) -> KeyFiles:
    """Draw a new pair and write `NAME.key`, for its owner alone, and `NAME.pub`.

    Raises:
        SecurityError: the name is refused, a file is there already, or libzmq has no CURVE.
        OSError: as the file system says.
    """
    check_name(name)
    if not zmq.has("curve"):
        raise SecurityError("this libzmq is built without CURVE; install the pyzmq wheel")
    secret, public = folder / f"{name}.key", folder / f"{name}.pub"
    for path in (secret, public):
        if path.exists() or path.is_symlink():
            raise SecurityError(f"{path} is there already; choose another name or move it away")
    drawn_public, drawn_secret = (key.decode("ascii") for key in zmq.curve_keypair())
    folder.mkdir(parents=True, exist_ok=True)
    text = f'# Keep this file to yourself.\npublic = "{drawn_public}"\nsecret = "{drawn_secret}"\n'
    write_new(secret, text, 0o600)
    try:
        write_new(public, public_line(name, drawn_public), 0o644)
    except BaseException:
        secret.unlink(missing_ok=True)
        raise
    return KeyFiles(secret, public, drawn_public)


def public_line(name: str, key: str) -> str:
    """Return the content of a public file."""
    return f'{name} = "{key}"\n'


def read_secret(path: Path) -> KeyPair:
    """Read a secret file.

    Raises:
        SecurityError: it is missing, no secret file, its halves do not belong together, or others
            than its owner may read it.
    """
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise SecurityError(f"cannot read the key {path}: {error.strerror}") from error
    if mode & 0o077:
        raise SecurityError(
            f"others may read the secret key {path} (mode {mode & 0o777:04o}, expected 0600); "
            f"run chmod 600 on it"
        )
    try:
        pair = load_config(path, _SecretFile)
        derived = zmq.curve_public(pair.secret.encode("ascii")).decode("ascii")
    except (ConfigError, zmq.ZMQError, ValueError) as error:
        meant = "; the secret key is the file NAME.key that retempo keys new writes"
        raise SecurityError(f"{path} is no secret key{meant}") from error
    if derived != pair.public:
        raise SecurityError(f"{path} holds a public key that does not belong to its secret")
    return KeyPair(pair.public, pair.secret)


def read_public(path: Path) -> Mapping[str, str]:
    """Read a public file; returns the names by key, `{key: name}`.

    Raises:
        SecurityError: it is missing or no public file.
    """
    try:
        if path.stat().st_size > _LARGEST_BYTES:
            raise SecurityError(f"{path} is too large for public keys")
        named = tomllib.loads(path.read_text(encoding="ascii"))
        checked = msgspec.convert(named, dict[str, Key])
    except OSError as error:
        raise SecurityError(f"cannot read the public key {path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:  # of TOML, ASCII and msgspec alike
        raise SecurityError(
            f'{path} is no public key; expected lines of NAME = "40 characters", as in the file '
            "NAME.pub that retempo keys new writes"
        ) from error
    for name, key in checked.items():
        check_name(name)
        _check_decodes(key, path)
    return {key: name for name, key in checked.items()}


def read_one_public(path: Path) -> str:
    """Read a public file of one key, such as a server's.

    Raises:
        SecurityError: as `read_public`, or there is not exactly one.
    """
    keys = list(read_public(path))
    if len(keys) != 1:
        raise SecurityError(f"{path} holds {len(keys)} public keys, expected one")
    return keys[0]


def z85_of(key: bytes) -> str:
    """Return 32 raw bytes as the 40 characters of the files."""
    return z85.encode(key).decode("ascii")


def _check_decodes(key: str, path: Path) -> None:
    """Five characters of Z85 can spell more than four bytes hold."""
    groups = (key[at : at + 5] for at in range(0, len(key), 5))
    if any(sum(z85.Z85MAP[ord(c)] * 85 ** (4 - i) for i, c in enumerate(g)) >> 32 for g in groups):
        raise SecurityError(f"{path} holds a key that is no Z85")


def write_new(path: Path, text: str, mode: int) -> None:
    """Write a file that must not be there yet: whole, or not at all, and never over another."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # of mode 0600
    temporary = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(text)
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        path.hardlink_to(temporary)  # unlike a rename it fails where something is
    except FileExistsError as error:
        raise SecurityError(f"{path} is there already; choose another name") from error
    finally:
        temporary.unlink(missing_ok=True)
