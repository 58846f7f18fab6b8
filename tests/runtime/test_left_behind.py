"""A peer that goes while messages of it wait for room brings nobody down.

libzmq 4.3.5 aborts a process whose own heartbeat falls due then; see `endpoints.find_the_dead`.
"""

import subprocess
import sys

_SCRIPT = """
import threading, time
import zmq
from retempo.runtime.decision import Decision
from retempo.runtime.decisions_out import DecisionsOut, decisions_socket
from retempo.runtime.subscriber import Decisions

context = zmq.Context()
sock = decisions_socket(context)
sock.set(zmq.LINGER, 0)
sock.set(zmq.SNDHWM, 0)
endpoint = f"tcp://127.0.0.1:{sock.bind_to_random_port('tcp://127.0.0.1')}"
out, greeted = DecisionsOut(sock), threading.Event()

def greet():
    while not greeted.is_set():
        out.answer()
        time.sleep(1e-3)

greeter = threading.Thread(target=greet)
greeter.start()
decisions = Decisions(endpoint, timeout_s=20.0)
greeted.set()
greeter.join()
for k in range(20_000):
    out.publish(
        Decision(stream="s", sequence=k, t_us=k, label="a", scores=[0.5] * 20, dt_us=1,
                 latency_us=0.0, step_us=0.0, counters={})
    )
sock.close()
context.term()
# Longer than any heartbeat would be.
time.sleep(4.0)
print(decisions.receive(5.0).sequence)
"""


def test_a_subscriber_survives_a_daemon_that_goes_while_it_does_not_read() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT], capture_output=True, timeout=60.0, check=False
    )
    assert (done.returncode, done.stdout.strip()) == (0, b"0"), done.stderr.decode()[-500:]
