"""What follows the # of a path: a part of the file, the columns of a table, or both.

`shd_test.h5#12`, `flight.bag#/dvs/events`, `events.txt#columns=x,y,t,p`,
`many.npz#right&columns=t,x,y,p`.
"""

from dataclasses import dataclass
from pathlib import Path

_COLUMNS = "columns="


@dataclass(frozen=True, slots=True)
class Fragment:
    """The part of a file and the columns of a table, each empty where it is not named."""

    part: str = ""
    columns: str = ""


def split_fragment(path: str | Path) -> tuple[Path, Fragment]:
    """Return the file that a text names and what follows its last #.

    A # belongs to the file's name where a file of that name exists, or where none does without it.
    """
    text = str(path)
    file, mark, rest = text.rpartition("#")
    if not mark or not file or file.endswith("/") or _exists(Path(text)) or not _exists(Path(file)):
        return Path(text), Fragment()
    pieces = rest.split("&")
    columns = [piece.removeprefix(_COLUMNS) for piece in pieces if piece.startswith(_COLUMNS)]
    part = "&".join(piece for piece in pieces if not piece.startswith(_COLUMNS))
    return Path(file), Fragment(part, ",".join(columns))


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    # A name that is too long or holds a null byte.
    except (OSError, ValueError):
        return False
