"""Work on one model, done so that its failure stops no other."""

import logging
import signal
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from recsys_dagster.errors import RecsysError

REPEAT_SECONDS = 5.0
"""How long after the first alarm the next one comes, should a library have swallowed the first."""

log = logging.getLogger(__name__)


class SkippedError(RecsysError):
    """Raised in the work on a model to say that it is not to be fitted: that is no failure, and the reason is told."""


class TimeLimitError(RecsysError):
    """The work on a model took longer than it may."""


class State(StrEnum):
    """What became of a model."""

    FITTED = "fitted"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True)
class Outcome:
    """What came of the work on one model.

    Attributes:
        model: its name.
        state: what became of it.
        reason: why it is not fitted, in one line; empty where it is.
        seconds: wall time of the work.
        id_map_hash: of the users and titles that it was to be fitted on.
        version: of the model, where a version could be fitted and kept; empty where none could.
        trace: the traceback of an error that is not ours; empty else.
    """

    model: str
    state: State
    reason: str
    seconds: float
    id_map_hash: str
    version: str = ""
    trace: str = ""

    def __str__(self) -> str:
        return f"{self.model} {self.state}" + (f": {self.reason}" if self.reason else "")


def attempt(model: str, work: Callable[[], Any], *, seconds: float, id_map_hash: str) -> Outcome:
    """Do the work on a model and return what came of it, whatever it raises.

    Args:
        model: its name.
        work: called once, with nothing.
        seconds: wall time after which the work is given up.
        id_map_hash: of the users and titles that the model is fitted on.
    """
    state, reason, trace = State.FITTED, "", ""
    started = time.perf_counter()
    try:
        with time_limit(seconds):
            work()
    except SkippedError as error:
        state, reason = State.SKIPPED, str(error)
    except RecsysError as error:
        state, reason = State.FAILED, str(error)
    except Exception as error:  # a library may raise anything, and none of it is to stop the other models
        state, reason, trace = State.FAILED, _in_a_line(error), traceback.format_exc()
    return Outcome(model, state, reason, time.perf_counter() - started, id_map_hash, trace=trace)


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise TimeLimitError inside the block once it has run for so many seconds of wall time.

    The system's alarm interrupts Python between two instructions, so the block ends at the next one: between two
    batches of a network, two sweeps of a factorisation, two trees. One long call into a library (a matrix's inverse) is
    not cut short; it is found out when it returns. Alarms reach the main thread only, which is where Dagster executes a
    run; in another thread there is no limit.

    Raises:
        TimeLimitError: within the block or at its end.
    """

    def ring(_signal: int, _frame: object) -> None:
        raise TimeLimitError(f"took longer than the {seconds:g} s that a model may take (RECSYS_MODEL_SECONDS)")

    try:
        before = signal.signal(signal.SIGALRM, ring)
    except ValueError:  # not the main thread
        log.warning("No time limit of %g s: not in the main thread", seconds)
        yield
        return
    signal.setitimer(signal.ITIMER_REAL, seconds, REPEAT_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _in_a_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
