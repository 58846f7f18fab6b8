"""Who may connect: public keys with names, read anew when their files change."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from retempo.runtime.security.errors import SecurityError
from retempo.runtime.security.keys import check_name, public_line, read_public, write_new

_Signature = tuple[tuple[str, int, int, int], ...]


@dataclass(frozen=True, slots=True)
class Allowed:
    """Names by key, and what could not be read; what cannot be read lets nobody in."""

    names: Mapping[str, str] = field(default_factory=dict)
    problems: tuple[str, ...] = ()


def read_allowed(path: Path) -> Allowed:
    """Read a public file, or every `*.pub` of a folder. Raises nothing: see `Allowed`."""
    names: dict[str, str] = {}
    problems: list[str] = []
    try:
        files = _files(path)
    except OSError as error:
        return Allowed(problems=(f"cannot read the allow-list {path}: {error.strerror}",))
    for file in files:
        try:
            names |= read_public(file)
        except SecurityError as error:
            problems.append(str(error))
    return Allowed(names, tuple(problems))


@dataclass(slots=True)
class AllowList:
    """The allow-list at a path, a file or a folder. `revoked` holds the names that were taken off.

    Raises:
        SecurityError: at the start it cannot be read whole.
    """

    path: Path
    allowed: Allowed = field(init=False)
    revoked: frozenset[str] = field(init=False, default=frozenset())
    _seen: _Signature | None = field(init=False)

    def __post_init__(self) -> None:
        self._seen = _signature(self.path)
        self.allowed = read_allowed(self.path)
        if self.allowed.problems:
            raise SecurityError(self.allowed.problems[0])

    def name_of(self, key: str) -> str | None:
        """Return the name of a client's public key, None where it is not listed."""
        return self.allowed.names.get(key)

    def refresh(self) -> bool:
        """Read it anew if a file has changed since; returns whether one has."""
        now = _signature(self.path)
        if now == self._seen:
            return False
        before = set(self.allowed.names.values())
        self._seen, self.allowed = now, read_allowed(self.path)
        named = set(self.allowed.names.values())
        self.revoked = frozenset((self.revoked | before) - named)
        return True


def allow(public: Path, folder: Path) -> list[str]:
    """Put the keys of a public file into an allow-folder, a file each; returns their names.

    A key that is there already under its name is left as it is.

    Raises:
        SecurityError: no public file, or the folder has another key of the same name.
        OSError: as the file system says.
    """
    named = read_public(public)
    if folder.exists() and not folder.is_dir():
        raise SecurityError(f"{folder} is no folder; add the line to it by hand, or name a folder")
    folder.mkdir(parents=True, exist_ok=True)
    for key, name in named.items():
        check_name(name)
        path = folder / f"{name}.pub"
        if path.exists():
            if key not in read_public(path):
                raise SecurityError(
                    f"{path} holds another key; remove it first if {name} has a new one"
                )
            continue
        write_new(path, public_line(name, key), 0o644)
    return list(named.values())


def _files(path: Path) -> list[Path]:
    return sorted(path.glob("*.pub")) if path.is_dir() else [path]


def _signature(path: Path) -> _Signature | None:
    """Return what changes when a file is added, removed, replaced or written."""
    try:
        stats = [(str(file), file.stat()) for file in _files(path)]
    except OSError:
        return None
    return tuple((name, s.st_ino, s.st_mtime_ns, s.st_size) for name, s in stats)
