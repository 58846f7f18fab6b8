"""Serves the stand-in, whose stream `stuck` steps for ever, under a watchdog of 2.5 seconds."""

import sys

from retempo.runtime.daemon import run_daemon
from retempo.runtime.event_log import EventLog
from retempo.runtime.heartbeat import Heartbeat
from retempo.runtime.metrics_chore import MetricsChore
from retempo.runtime.sd_notify import SystemdNotifier
from retempo.runtime.watchdog import Watchdog, WatchdogSettings
from tests.runtime.stand_in import deployment
from tests.runtime.watched import FACTS

LIMIT_S = 2.5

if __name__ == "__main__":
    settings = WatchdogSettings(LIMIT_S, exit="exit" in sys.argv)
    heartbeat, log, notifier = Heartbeat(), EventLog(), SystemdNotifier()
    run_daemon(
        deployment(),
        "tcp://127.0.0.1:*",
        "tcp://127.0.0.1:*",
        log=log,
        chores=[
            lambda server: Watchdog(server, settings, heartbeat, log, notifier),
            lambda server: MetricsChore(
                server, ("127.0.0.1", 0), heartbeat, LIMIT_S, log, lambda: FACTS
            ),
        ],
    )
