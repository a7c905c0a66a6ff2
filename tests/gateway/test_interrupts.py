"""Ctrl-C that comes just as a call begins to wait."""

import subprocess
import sys
import time

PROGRAM = """
import os, signal, socket, threading, time
from aideator_gateway.command.cli.interrupts import prompt_interrupts

def interrupt():
    # This thread takes the signal: the main one is woken by it as little as where it comes
    # just before the main thread waits.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    waiting.wait()
    time.sleep(0.3)
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(60)

signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
waiting = threading.Event()
threading.Thread(target=interrupt, daemon=True).start()
silent, _other = socket.socketpair()
silent.settimeout(8)
with prompt_interrupts():
    waiting.set()
    try:
        silent.recv(1)
    except KeyboardInterrupt:
        print("interrupted")
assert signal.getsignal(signal.SIGURG) is signal.SIG_DFL
assert signal.set_wakeup_fd(-1) == -1
assert not [t for t in threading.enumerate() if t.name == "interrupts"]
"""


def test_a_call_that_just_begins_to_wait_is_interrupted() -> None:
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout == "interrupted\n", done.stderr
    assert done.returncode == 0, done.stderr
    assert time.monotonic() - started < 7
