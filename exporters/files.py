"""Files that are written whole, or not at all."""

import errno
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that it is whole or, after any fault, as it was before.

    A link is followed, and what is no file is left alone.

    Raises:
        OSError: as the file system says, or the path is that of a folder, a device or a pipe.
    """
    write_together({path: content})


def write_together(files: Mapping[Path, bytes]) -> None:
    """Write several files so that all are new or, where one cannot be written, all as before.

    All are written beside their places first, then moved there in the order given; only a crash
    between two moves can part them.

    Raises:
        OSError: as `write_atomically`.
    """
    written: dict[Path, Path] = {}
    try:
        for path, content in files.items():
            place = path.resolve()
            if place.exists() and not place.is_file():
                raise OSError(errno.EINVAL, "it is no file", str(path))
            written[_write_beside(place, content)] = place
        for temporary, place in written.items():
            temporary.replace(place)
    finally:
        for temporary in written:
            temporary.unlink(missing_ok=True)


def _write_beside(place: Path, content: bytes) -> Path:
    handle, name = tempfile.mkstemp(dir=place.parent, prefix=f".{place.name}.")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return temporary


def check_writable(folder: Path) -> None:
    """Check, before long work, that files can be written into a folder that may not exist yet.

    Raises:
        OSError: the folder is none, or it or the one that it would be made in is not writable.
    """
    nearest = folder.absolute()
    while not nearest.exists() and nearest != nearest.parent:
        nearest = nearest.parent
    if not nearest.is_dir():
        raise OSError(errno.ENOTDIR, "Not a directory", str(nearest))
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise OSError(errno.EACCES, "Permission denied", str(nearest))
