"""One model's failure, whatever it is, becomes an outcome; its time is bounded for real."""

import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from recsys_dagster.data.training_data import TrainingData
from recsys_dagster.errors import RecsysError
from recsys_dagster.model_store.outcomes import read_outcome, read_outcomes, write_outcome
from recsys_dagster.models.attempt import Outcome, SkippedError, State, attempt
from recsys_dagster.models.registry import get_model_class
from recsys_dagster.runtime.layout import Layout

LONG = 3600.0


def tried(work: Callable[[], object], seconds: float = LONG) -> Outcome:
    return attempt("als", work, seconds=seconds, id_map_hash="ids")


def raising(error: Exception) -> Callable[[], object]:
    def work() -> None:
        raise error

    return work


def test_work_that_goes_through_is_fitted_without_a_reason() -> None:
    outcome = tried(lambda: None)
    assert (outcome.model, outcome.state, outcome.reason, outcome.trace) == ("als", State.FITTED, "", "")
    assert str(outcome) == "als fitted"


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (RecsysError("the training fold is empty"), "the training fold is empty"),
        (ValueError("first line\nsecond line"), "ValueError: first line"),
        (MemoryError(), "MemoryError"),
    ],
)
def test_whatever_it_raises_is_a_failure_told_in_one_line(error: Exception, reason: str) -> None:
    outcome = tried(raising(error))
    assert (outcome.state, outcome.reason) == (State.FAILED, reason)
    assert str(outcome) == f"als failed: {reason}"


def test_an_error_that_is_not_ours_keeps_its_traceback() -> None:
    assert "raise error" in tried(raising(ZeroDivisionError("by hand"))).trace
    assert tried(raising(RecsysError("said plainly"))).trace == ""


def test_a_model_that_says_so_is_left_out_and_has_not_failed() -> None:
    outcome = tried(raising(SkippedError("would need 40 GiB")))
    assert str(outcome) == "als skipped: would need 40 GiB"


def test_an_interrupt_is_no_failure_of_the_model_and_ends_the_run() -> None:
    def work() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tried(work)


def test_python_that_never_ends_is_ended_and_the_alarm_is_off_afterwards() -> None:
    before = signal.getsignal(signal.SIGALRM)

    def work() -> None:
        while True:
            pass

    outcome = tried(work, seconds=0.05)
    assert outcome.state is State.FAILED
    assert "took longer than the 0.05 s" in outcome.reason
    assert signal.getsignal(signal.SIGALRM) is before
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_a_library_that_swallows_the_first_alarm_is_ended_by_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recsys_dagster.models.attempt.REPEAT_SECONDS", 0.05)
    swallowed = []

    def work() -> None:
        try:
            time.sleep(LONG)
        except RecsysError as error:
            swallowed.append(error)
        time.sleep(LONG)

    assert tried(work, seconds=0.05).state is State.FAILED
    assert len(swallowed) == 1


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("embedding_mlp", {"epochs": 10**6, "patience": None}),
        ("implicit_als", {"iterations": 10**6}),
        ("als", {"maxIter": 10**6, "patience": 10**6}),
        ("bayesian_fm", {"draws": 10**6}),
    ],
)
def test_the_training_of_each_library_is_ended_in_the_middle(
    data: TrainingData, name: str, params: dict[str, object]
) -> None:
    kind = get_model_class(name)
    kind(seed=1).fit(data)  # what is imported and compiled at first is none of the model's time
    endless = kind(kind.params_type(**params), seed=1)
    outcome = attempt(name, lambda: endless.fit(data), seconds=1.0, id_map_hash="ids")
    assert "took longer than the 1 s" in outcome.reason


def test_in_another_thread_the_work_is_done_without_a_limit() -> None:
    outcomes: list[Outcome] = []
    thread = threading.Thread(target=lambda: outcomes.append(tried(lambda: time.sleep(0.1), seconds=0.01)))
    thread.start()
    thread.join()
    assert outcomes[0].state is State.FITTED


def test_an_outcome_is_read_back_and_replaces_the_one_before(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    assert read_outcome(layout, "movie", "als") is None
    first = Outcome("als", State.FAILED, "boom", 1.5, "ids", trace="line 1\nline 2")
    second = Outcome("als", State.FITTED, "", 2.5, "ids", version="v2")
    for outcome in (first, second):
        write_outcome(layout, "movie", outcome)
        assert read_outcome(layout, "movie", "als") == outcome
    assert read_outcomes(layout, "anime", id_map_hash="ids") == {}


def test_outcomes_of_other_users_and_titles_do_not_count(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    write_outcome(layout, "movie", Outcome("als", State.FAILED, "boom", 1.0, "older ids"))
    write_outcome(layout, "movie", Outcome("ease", State.SKIPPED, "too large", 0.0, "ids"))
    assert set(read_outcomes(layout, "movie", id_map_hash="ids")) == {"ease"}


def test_predictions_that_are_not_numbers_are_refused(data: TrainingData, monkeypatch: pytest.MonkeyPatch) -> None:
    model = get_model_class("user_item_bias")().fit(data)
    monkeypatch.setattr(model, "_predict", lambda users, _items: np.full(len(users), np.nan, np.float32))
    with pytest.raises(RecsysError, match="user_item_bias: predictions are not numbers"):
        model.predict(np.arange(3, dtype=np.int32), np.arange(3, dtype=np.int32))
