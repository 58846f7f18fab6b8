"""What watches a daemon: metrics and the watchdog, made from its configuration."""

import ipaddress
import re
from collections.abc import Callable
from functools import partial

from retempo.runtime.daemon import Chore
from retempo.runtime.errors import ConfigError
from retempo.runtime.event_log import EventLog
from retempo.runtime.feed_server import FeedServer
from retempo.runtime.heartbeat import Heartbeat
from retempo.runtime.metrics_chore import MetricsChore
from retempo.runtime.sd_notify import SystemdNotifier
from retempo.runtime.serve_config import MetricsConfig, WatchdogConfig
from retempo.runtime.units import parse_duration_us
from retempo.runtime.watchdog import Watchdog, WatchdogSettings

_ADDRESS = re.compile(
    r"(?:\[(?P<six>[0-9a-fA-F:.]+)\]|(?P<host>[^\s:/\[\]]+)):(?P<port>[0-9]{1,5}|\*)"
)
_LAST_PORT = 65_535
# The loop of an idle daemon comes round once a second.
_LEAST_LIMIT_S = 2.0


def watching(
    metrics: MetricsConfig, watchdog: WatchdogConfig, log: EventLog
) -> list[Callable[[FeedServer], Chore]]:
    """Return what makes the chores that watch a daemon, for `runtime.daemon.run_daemon`.

    Raises:
        ConfigError: an address or a limit is malformed, or the address needs `on_network`.
    """
    settings = watchdog_settings(watchdog)
    address = metrics_address(metrics)
    heartbeat = Heartbeat()
    notifier = SystemdNotifier()
    chores: list[Callable[[FeedServer], Chore]] = [
        lambda server: Watchdog(server, settings, heartbeat, log, notifier)
    ]
    if address is not None:
        chores.append(
            partial(
                MetricsChore,
                address=address,
                heartbeat=heartbeat,
                limit_s=settings.limit_s,
                log=log,
            )
        )
    return chores


def watchdog_settings(config: WatchdogConfig) -> WatchdogSettings:
    """Read `[watchdog]`.

    Raises:
        ConfigError: the limit is malformed or too short.
    """
    try:
        limit_s = parse_duration_us(config.limit) / 1e6
    except ConfigError as error:
        raise ConfigError(f"[watchdog] limit: {error}") from error
    if limit_s < _LEAST_LIMIT_S:
        raise ConfigError(
            f"[watchdog] limit is {_LEAST_LIMIT_S:g} s or more, since an idle loop turns once a "
            f"second; got {config.limit}"
        )
    return WatchdogSettings(limit_s, config.exit)


def metrics_address(config: MetricsConfig) -> tuple[str, int] | None:
    """Read `[metrics] bind`, `host:port`; None where there are no metrics.

    Raises:
        ConfigError: it is malformed, or no loopback address without `on_network`.
    """
    if config.bind is None:
        return None
    match = _ADDRESS.fullmatch(config.bind)
    port = 0 if match is None or match["port"] == "*" else int(match["port"])
    if match is None or port > _LAST_PORT:
        raise ConfigError(
            f"[metrics] bind is host:port such as 127.0.0.1:9464, got {config.bind!r}"
        )
    host = match["six"] or match["host"]
    if not config.on_network and not _is_loopback(host):
        raise ConfigError(
            f"[metrics] bind {config.bind} is open to the network, in clear and to everybody; bind "
            "127.0.0.1, or set [metrics] on_network = true where the network is trusted"
        )
    return host, port


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
