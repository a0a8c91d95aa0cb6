"""Stop a long command on Ctrl-C and SIGTERM: soon, with one line, and with the usual exit code."""

import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from recsys_dagster.errors import StoppedError

GRACE_SECONDS = 5.0
"""Seconds after the signal when the process exits at the latest, unless a native call holds the interpreter."""


class Stop:
    """Whether the process was asked to stop.

    Attributes:
        signal: SIGINT or SIGTERM; None as long as neither came.
    """

    def __init__(self) -> None:
        self.signal: signal.Signals | None = None

    def check(self) -> None:
        """Raise StoppedError if a signal came."""
        if self.signal is not None:
            raise StoppedError(self.signal)


@contextmanager
def stop_on_signals() -> Iterator[Stop]:
    """Watch for SIGINT and SIGTERM during the block; main thread only.

    The signal also interrupts the running code: SIGTERM is passed on as SIGINT, for which a library may have its own
    handler. Such a handler may swallow the interrupt, so the block has to call `check` between its steps. If the
    process is still there GRACE_SECONDS after the signal, it exits. Everything that it stores is replaced in one step,
    so nothing is left half-written.

    Raises:
        StoppedError: a signal came.
    """
    stop = Stop()
    reader, writer = socket.socketpair()
    writer.setblocking(False)

    def watch() -> None:
        while number := reader.recv(1):
            if number[0] in (signal.SIGINT, signal.SIGTERM) and stop.signal is None:
                stop.signal = signal.Signals(number[0])
                timer = threading.Timer(GRACE_SECONDS, _exit_now, [stop.signal])
                timer.daemon = True
                timer.start()

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    # The interpreter writes the number of each signal to this socket, whichever handler is installed.
    former_fd = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
    former = signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        yield stop
    except KeyboardInterrupt:
        stop.signal = stop.signal or signal.SIGINT
    finally:
        signal.set_wakeup_fd(former_fd)
        signal.signal(signal.SIGTERM, former)
        writer.close()
        watcher.join(1)
        reader.close()
    stop.check()


def _exit_now(number: signal.Signals) -> None:
    sys.stderr.write(f"recsys: {StoppedError(number)}\n")
    sys.stderr.flush()
    os._exit(128 + number)
