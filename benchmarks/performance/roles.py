"""What the processes of a measurement do: `python -m benchmarks.performance.roles ROLE ...`."""

import sys
from collections.abc import Callable

from benchmarks.performance.flood import flood
from benchmarks.performance.latency_eventcv import eventcv_loop
from benchmarks.performance.latency_plain import plain_listen, plain_loop, plain_publish
from benchmarks.performance.latency_retempo import listen, publish_paced

ROLES: dict[str, Callable[..., None]] = {
    "publish": publish_paced,
    "listen": listen,
    "eventcv": eventcv_loop,
    "plain-publish": plain_publish,
    "plain-loop": plain_loop,
    "plain-listen": plain_listen,
    "flood": flood,
}

if __name__ == "__main__":
    ROLES[sys.argv[1]](*sys.argv[2:])
