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
            _refuse_unknown(value, _meant(field.type, value, path, where), path, f"{where}.")
        item = field.type.item_type if isinstance(field.type, msgspec.inspect.ListType) else None
        if isinstance(item, msgspec.inspect.StructType) and isinstance(value, list):
            for position, entry in enumerate(value):
                _refuse_unknown(entry, item.cls, path, f"{where}[{position}].")


def _meant(
    union: msgspec.inspect.UnionType, table: dict[str, object], path: Path, section: str
) -> object:
    """Return the one of several tagged structs that a table says it is."""
    structs = [kind for kind in union.types if isinstance(kind, msgspec.inspect.StructType)]
    for struct in structs:
        if struct.tag_field is not None and table.get(struct.tag_field) == struct.tag:
            return struct.cls
    known = " or ".join(str(struct.tag) for struct in structs)
    name = structs[0].tag_field
    raise ConfigError(f"{path}: {section}.{name} is {table.get(str(name))!r}, expected {known}")
