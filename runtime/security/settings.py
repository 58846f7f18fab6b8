"""From `[security]` to what a daemon needs of it."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from retempo.runtime.security.allow import AllowList
from retempo.runtime.security.errors import SecurityError
from retempo.runtime.security.exposure import Access
from retempo.runtime.security.keys import KeyPair, read_secret

if TYPE_CHECKING:
    from retempo.runtime.serve_config import SecurityConfig

CONNECTIONS = 256


@dataclass(frozen=True, slots=True)
class Security:
    """Who may connect to a daemon; without keys it serves in clear, on this machine alone.

    `connections` is how many peers each of its sockets takes. `ipc` says who may open the socket of
    an ipc endpoint.
    """

    keys: KeyPair | None = None
    allow: AllowList | None = None
    clear_on_network: bool = False
    connections: int = CONNECTIONS
    ipc: Access = "owner"


def security_of(config: "SecurityConfig", folder: Path) -> Security:
    """Read the keys that a configuration names; relative paths start from `folder`.

    Raises:
        SecurityError: a file is missing, broken or readable by others, or one of `keys` and `allow`
            stands alone: without a list every key is let in, without keys none can be told.
    """
    if (config.keys is None) != (config.allow is None):
        has, lacks = ("keys", "allow") if config.allow is None else ("allow", "keys")
        raise SecurityError(
            f"[security] has {has} but no {lacks}; set both, or none to serve in clear"
        )
    return Security(
        keys=None if config.keys is None else read_secret(folder / config.keys),
        allow=None if config.allow is None else AllowList(folder / config.allow),
        clear_on_network=config.clear_on_network,
        connections=config.connections,
        ipc=config.ipc,
    )
