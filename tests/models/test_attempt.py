"""The failure of one model becomes an outcome, and a time limit ends its work on any thread."""

import signal
import threading
import time
from collections.abc import Callable
from typing import TypeVar

import pytest

from recsys_dagster.data.training_data import TrainingData
from recsys_dagster.errors import RecsysError
from recsys_dagster.models import attempt as attempt_module
from recsys_dagster.models.attempt import Attempt, Outcome, SkippedError, State, TimeLimitError, attempt
from recsys_dagster.models.registry import get_model_class

LONG = 3600.0
Result = TypeVar("Result")


def outcome_of(work: Callable[[], object], seconds: float | None = LONG) -> Outcome:
    return attempt("als", work, seconds=seconds, id_map_hash="ids").outcome


def raising(error: BaseException) -> Callable[[], object]:
    def work() -> None:
        raise error

    return work


def here(call: Callable[[], Result]) -> Result:
    """Call it on the main thread, where pytest runs tests."""
    return call()


def elsewhere(call: Callable[[], Result]) -> Result:
    """Call it on another thread."""
    results: list[Result] = []
    thread = threading.Thread(target=lambda: results.append(call()))
    thread.start()
    thread.join()
    return results[0]


on_each_thread = pytest.mark.parametrize("run", [here, elsewhere])


@on_each_thread
def test_work_that_succeeds_is_fitted_and_gives_its_value(run: Callable[..., Attempt[int]]) -> None:
    result = run(lambda: attempt("als", lambda: 7, seconds=LONG))
    assert result.value == 7
    outcome = result.outcome
    assert (outcome.model, outcome.state, outcome.reason, outcome.trace) == ("als", State.FITTED, "", "")
    assert str(outcome) == "als fitted"


@on_each_thread
@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (RecsysError("the training fold is empty"), "the training fold is empty"),
        (RecsysError("als: the training fold is empty"), "the training fold is empty"),
        (ValueError("first line\nsecond line"), "ValueError: first line"),
        (MemoryError(), "not enough memory"),
        (MemoryError("Unable to allocate 4 GiB"), "not enough memory: Unable to allocate 4 GiB"),
    ],
)
def test_any_error_is_a_failure_with_a_reason_of_one_line(
    run: Callable[..., Outcome], error: Exception, reason: str
) -> None:
    outcome = run(lambda: outcome_of(raising(error)))
    assert (outcome.state, outcome.reason) == (State.FAILED, reason)
    assert str(outcome) == f"als failed: {reason}"


def test_a_failure_has_no_value() -> None:
    assert attempt("als", raising(ValueError("boom"))).value is None


def test_only_an_unexpected_error_keeps_its_traceback() -> None:
    assert "raise error" in outcome_of(raising(ZeroDivisionError("by hand"))).trace
    assert outcome_of(raising(RecsysError("a plain message"))).trace == ""


def test_a_skipped_model_has_not_failed() -> None:
    outcome = outcome_of(raising(SkippedError("would need 40 GiB")))
    assert str(outcome) == "als skipped: would need 40 GiB"


@on_each_thread
def test_an_interrupt_from_the_keyboard_is_raised_again(run: Callable[..., object]) -> None:
    def call() -> None:
        with pytest.raises(KeyboardInterrupt):
            outcome_of(raising(KeyboardInterrupt()))

    run(call)


@on_each_thread
@pytest.mark.parametrize("seconds", [0.05, 0.5])
def test_an_endless_loop_is_interrupted(run: Callable[..., Outcome], seconds: float) -> None:
    def work() -> None:
        while True:
            pass

    started = time.perf_counter()
    outcome = run(lambda: outcome_of(work, seconds))
    assert outcome.state is State.FAILED
    assert outcome.reason == f"took longer than the {seconds:g} s that a model may take (RECSYS_MODEL_SECONDS)"
    assert seconds <= time.perf_counter() - started < seconds + 10


def test_the_alarm_of_the_process_is_as_before_afterwards() -> None:
    before = signal.getsignal(signal.SIGALRM)
    assert outcome_of(lambda: time.sleep(LONG), seconds=0.05).state is State.FAILED
    assert signal.getsignal(signal.SIGALRM) is before
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


@on_each_thread
def test_work_within_its_limit_is_not_interrupted_later(
    run: Callable[..., Attempt[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempt_module, "REPEAT_SECONDS", 0.01)

    def limited_then_free() -> Attempt[int]:
        result = attempt("als", lambda: 7, seconds=0.05)
        until = time.perf_counter() + 0.2
        while time.perf_counter() < until:
            pass
        return result

    assert run(limited_then_free).value == 7


@on_each_thread
def test_the_interruption_is_repeated_for_a_library_that_swallows_the_first(
    run: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempt_module, "REPEAT_SECONDS", 0.05)
    swallowed: list[Exception] = []

    def work() -> None:
        try:
            while True:
                time.sleep(0.001)
        except TimeLimitError as error:
            swallowed.append(error)
        while True:
            time.sleep(0.001)

    assert run(lambda: outcome_of(work, seconds=0.05)).state is State.FAILED
    assert len(swallowed) == 1


@on_each_thread
@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("embedding_mlp", {"epochs": 10**6, "patience": None}),
        ("implicit_als", {"iterations": 10**6}),
        ("als", {"max_iter": 10**6, "patience": 10**6}),
        ("bayesian_fm", {"draws": 10**6}),
    ],
)
def test_a_time_limit_ends_the_training_of_each_library(
    run: Callable[..., Outcome], data: TrainingData, name: str, params: dict[str, object]
) -> None:
    model_class = get_model_class(name)
    model_class(seed=1).fit(data)  # importing and compiling, which happen once, do not count
    endless = model_class(model_class.params_type(**params), seed=1)
    outcome = run(lambda: outcome_of(lambda: endless.fit(data), seconds=1.0))
    assert "took longer than the 1 s" in outcome.reason
