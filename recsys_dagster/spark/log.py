"""Collect what Spark, the JVM and the jobs log."""

import logging
import os
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TextIO

_LEVELS = {" ERROR ": logging.ERROR, " FATAL ": logging.ERROR, " WARN ": logging.WARNING}
_QUIET = ("py4j", "SQLQueryContextLogger", "DataFrameQueryContextLogger")
"""Loggers that repeat at length what an exception says."""


@contextmanager
def collected_log(handlers: Sequence[logging.Handler]) -> Iterator[logging.Logger]:
    """Give the log of the block to the handlers, or to standard error if there are none.

    What the JVM writes to standard error becomes lines of the log too.
    """
    root = logging.getLogger()
    root.setLevel(logging.INFO)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    with _collecting_standard_error() as screen:
        for handler in handlers or [logging.StreamHandler(screen)]:
            root.addHandler(handler)
        yield root


@contextmanager
def _collecting_standard_error() -> Iterator[TextIO]:
    """Turn every line of standard error, whoever writes it, into a line of the log; yield the former stream."""
    former = os.fdopen(os.dup(2), "w", buffering=1)
    reader, writer = os.pipe()
    os.dup2(writer, 2)
    os.close(writer)
    thread = threading.Thread(target=_log_lines, args=(reader,), daemon=True)
    thread.start()
    try:
        yield former
    finally:
        sys.stderr.flush()
        os.dup2(former.fileno(), 2)
        thread.join(1)


def _log_lines(reader: int) -> None:
    with os.fdopen(reader, errors="replace") as lines:
        for line in lines:
            level = next((level for sign, level in _LEVELS.items() if sign in line), logging.INFO)
            logging.log(level, line.rstrip())
