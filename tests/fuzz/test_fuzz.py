"""A short form of `make fuzz`, and what its mutations and its verdicts are worth."""

import multiprocessing
import os
import random
import sys
from pathlib import Path

import pytest

from fuzz.driver import Outcome, _faults_of_ending, _in_a_process, run_cases
from fuzz.mutations import LARGEST, mutate, mutated_archive
from fuzz.surfaces import SECRET, SURFACES

CASES = 30


def thirty_cases() -> list[Outcome]:
    outcomes: list[Outcome] = []
    run_cases(range(CASES), 1, outcomes.append, runs=1)
    return outcomes


def test_thirty_mutations_end_in_success_or_one_clear_line() -> None:
    # In a fresh process, because in a fork of one that has run a parallel kernel, numba ends each kernel with SIGTERM.
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        outcomes = pool.apply(thirty_cases)
    assert [str(outcome) for outcome in outcomes if outcome.faults] == []
    assert {outcome.surface for outcome in outcomes} == set(SURFACES)
    codes = [outcome.code for outcome in outcomes]
    assert codes.count(0) > 0
    assert codes.count(1) > 0


def test_a_seed_gives_the_same_mutations_and_they_are_bounded() -> None:
    content = b"userId,movieId\n1,2\n"
    first, second = ([mutate(content, random.Random(f"{seed}")) for seed in range(200)] for _ in range(2))
    assert first == second
    assert len(set(first)) > 150
    assert max(map(len, first)) <= LARGEST
    assert len({mutated_archive({"a.csv": content, "b.csv": content}, random.Random(seed)) for seed in range(20)}) > 15


@pytest.mark.parametrize(
    ("code", "errors", "fault"),
    [
        (0, "", None),
        (1, "reading\nrecsys: ratings.csv, line 3: no number; mend it\n", None),
        (1, "", "0 lines say why"),
        (1, "recsys: one\nrecsys: two\n", "2 lines say why"),
        (1, "recsys: one\nand more\n", "1 lines say why"),
        (99, "Traceback (most recent call last)\nKeyError: 'x'\n", "ended with 99; a traceback"),
        (-11, "", "ended with -11"),
        (1, "recsys: \x1b[31m\n", "control characters"),
        (1, f"recsys: {SECRET}\n", "a secret is shown"),
        (1, f"recsys: {'x' * 5000}\n", "a line of"),
    ],
)
def test_a_broken_promise_is_found(code: int, errors: str, fault: str | None) -> None:
    faults = "; ".join(_faults_of_ending(code, 1, 1, "", errors))
    assert fault in faults if fault else faults == ""
    assert "took 61 s" in list(_faults_of_ending(0, 61, 1, "", ""))
    assert "took 2,048 MiB" in list(_faults_of_ending(0, 1, 2**31, "", ""))


def test_a_case_sees_its_own_environment_and_is_measured(tmp_path: Path) -> None:
    def work() -> int:
        sys.stdout.write(os.environ["NAME"])
        return len(b"x" * (300 * 2**20)) and 3

    code, seconds, peak = _in_a_process(work, {"NAME": "value"}, tmp_path)
    assert code == 3
    assert 0 < seconds < 30
    assert peak > 290 * 2**20
    assert (tmp_path / "out").read_text() == "value"
    assert _in_a_process(lambda: os.kill(os.getpid(), 9) or 0, {}, tmp_path)[0] == -9
