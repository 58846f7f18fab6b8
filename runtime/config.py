"""Typed configuration from TOML: an unknown key is an error that names the nearest known one."""

import difflib
import tomllib
from pathlib import Path
from typing import TypeVar

import msgspec

from retempo.runtime.errors import ConfigError

T = TypeVar("T")


def load_config(path: Path, schema: type[T]) -> T:
    """Read a TOML file into a msgspec struct.

    Raises:
        ConfigError: the file is missing, no TOML, or does not fit the struct; the text names the
            key.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise ConfigError(f"cannot read the config {path}: {reason}") from error
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is no TOML: {error}") from error
    _refuse_unknown(content, schema, path, "")
    try:
        return msgspec.convert(content, schema)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{path}: {str(error).replace('`', '')}") from error


def _refuse_unknown(content: object, schema: object, path: Path, section: str) -> None:
    """Walk the tables; msgspec says that a key is unknown, but not which one was meant."""
    info = msgspec.inspect.type_info(schema)
    if not isinstance(info, msgspec.inspect.StructType) or not isinstance(content, dict):
        return
    known: dict[str, msgspec.inspect.Field | None]
    known = {field.encode_name: field for field in info.fields}
    if info.tag_field is not None:
        known.setdefault(info.tag_field, None)
    for key, value in content.items():
        where = f"{section}{key}"
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1, cutoff=0.0)
            raise ConfigError(
                f"{path}: unknown key {where!r}; did you mean {section}{near[0]}? "
                f"Known here: {', '.join(known)}"
            )
        field = known[key]
        if field is None:
            continue
        if isinstance(field.type, msgspec.inspect.StructType):
            _refuse_unknown(value, field.type.cls, path, f"{where}.")
        if isinstance(field.type, msgspec.inspect.UnionType) and isinstance(value, dict):
            _refuse_unknown(value, _tagged(value, field.type, path, f"{where}."), path, f"{where}.")
        item = field.type.item_type if isinstance(field.type, msgspec.inspect.ListType) else None
        for position, entry in enumerate(value if isinstance(value, list) else []):
            at = f"{where}[{position}]."
            if isinstance(item, msgspec.inspect.StructType):
                _refuse_unknown(entry, item.cls, path, at)
            if isinstance(item, msgspec.inspect.UnionType) and isinstance(entry, dict):
                _refuse_unknown(entry, _tagged(entry, item, path, at), path, at)


def _tagged(
    entry: dict[str, object], union: msgspec.inspect.UnionType, path: Path, section: str
) -> object:
    """Return the struct that a table of several kinds says it is."""
    structs = [each for each in union.types if isinstance(each, msgspec.inspect.StructType)]
    kinds = {each.tag: each.cls for each in structs}
    names = [str(kind) for kind in kinds]
    key = structs[0].tag_field
    said = entry.get(str(key))
    if said not in kinds:
        near = difflib.get_close_matches(str(said), names, n=1, cutoff=0.0)
        meant = f"is {said!r}; did you mean {near[0]}?" if key in entry else "is missing;"
        raise ConfigError(f"{path}: {section}{key} {meant} Known here: {', '.join(names)}")
    return kinds[said]
