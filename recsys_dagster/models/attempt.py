"""Fit or evaluate one model in isolation: its failure, or too long a run, stops no other model."""

import contextvars
import ctypes
import signal
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

from recsys_dagster.errors import RecsysError

REPEAT_SECONDS = 5.0
"""Seconds between interruptions, repeated because a library may swallow the first exception."""

Value = TypeVar("Value")


class SkippedError(RecsysError):
    """Raise it to skip a model on purpose, which is not a failure; the message is the reason."""


class TimeLimitError(RecsysError):
    """The work on a model took longer than its time limit."""


class State(StrEnum):
    """What became of a model."""

    FITTED = "fitted"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True)
class Outcome:
    """What became of a model in one run.

    Attributes:
        model: its name.
        state: fitted, failed or skipped.
        reason: why it is not fitted, in one line; empty if it is.
        seconds: wall time of the work.
        id_map_hash: hash of the user and item ids of the training data; empty where no warehouse is involved.
        version: the version that was saved; empty if none was.
        trace: the traceback of an unexpected error; empty for an error of this project, whose message says enough.
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


@dataclass(frozen=True)
class Attempt(Generic[Value]):
    """The outcome of the work on a model, and what the work returned.

    Attributes:
        outcome: what became of the model.
        value: what the work returned; None if it failed or was skipped.
    """

    outcome: Outcome
    value: Value | None


def attempt(
    model: str, work: Callable[[], Value], *, seconds: float | None = None, id_map_hash: str = ""
) -> Attempt[Value]:
    """Call `work` and return its outcome and value, whatever it raises.

    Only what is meant to end the whole process passes through, such as KeyboardInterrupt.

    Args:
        model: name of the model.
        work: called once, without arguments.
        seconds: wall time after which the work is interrupted; None: no limit.
        id_map_hash: for the outcome.
    """
    state, reason, trace, value = State.FITTED, "", "", None
    started = time.perf_counter()
    try:
        value = work() if seconds is None else call_with_time_limit(work, seconds)
    except SkippedError as error:
        state, reason = State.SKIPPED, str(error)
    except RecsysError as error:
        state, reason = State.FAILED, str(error)
    except MemoryError as error:
        state, reason, trace = State.FAILED, _one_line("not enough memory", error), traceback.format_exc()
    except Exception as error:  # a library may raise anything, and nothing it raises may stop the other models
        state, reason, trace = State.FAILED, _one_line(type(error).__name__, error), traceback.format_exc()
    elapsed = time.perf_counter() - started
    return Attempt(Outcome(model, state, reason.removeprefix(f"{model}: "), elapsed, id_map_hash, trace=trace), value)


def call_with_time_limit(work: Callable[[], Value], seconds: float) -> Value:
    """Call `work` and return its value, or interrupt it after `seconds` of wall time.

    The exception is raised inside `work` between two Python instructions: between two batches of a network, two sweeps
    of a factorisation, two trees. A single long call into a library, such as a matrix inversion, is not cut short.

    On the main thread the system's alarm interrupts, which also ends a blocking call such as `time.sleep`. Alarms
    reach no other thread. There, `work` runs in a thread of its own, in which the interpreter raises the exception
    as soon as that thread is back in Python code.

    Raises:
        TimeLimitError: the limit was reached.
    """
    message = f"took longer than the {seconds:g} s that a model may take (RECSYS_MODEL_SECONDS)"
    if threading.current_thread() is threading.main_thread():
        return _call_with_alarm(work, seconds, message)
    return _call_in_thread(work, seconds, message)


def _call_with_alarm(work: Callable[[], Value], seconds: float, message: str) -> Value:
    finished = False

    def interrupt(_signal: int, _frame: object) -> None:
        if not finished:
            raise TimeLimitError(message)

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, seconds, REPEAT_SECONDS)
    try:
        return work()
    finally:
        finished = True
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _call_in_thread(work: Callable[[], Value], seconds: float, message: str) -> Value:
    """Call `work` in a new thread: an exception that arrives late then hits a thread that ends anyway."""
    values: list[Value] = []
    errors: list[BaseException] = []

    class ReachedError(TimeLimitError):
        """The interpreter creates it in the other thread, without arguments."""

        def __init__(self) -> None:
            super().__init__(message)

    def call() -> None:
        try:
            values.append(work())
        except BaseException as error:  # raised again by the calling thread
            errors.append(error)

    thread = threading.Thread(target=contextvars.copy_context().run, args=(call,), daemon=True)
    thread.start()
    thread.join(seconds)
    while thread.is_alive():
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident or 0), ctypes.py_object(ReachedError))
        thread.join(REPEAT_SECONDS)
    if values:
        return values[0]
    raise errors[0] if errors else TimeLimitError(message)


def _one_line(label: str, error: Exception) -> str:
    """Return the label and the first line of the error's message, if it has one."""
    lines = str(error).strip().splitlines()
    return f"{label}: {lines[0]}" if lines else label
