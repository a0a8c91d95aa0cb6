"""Cron expressions are checked as Dagster reads them."""

import pytest
from dagster import DagsterInvalidDefinitionError, ScheduleDefinition
from hypothesis import given
from hypothesis import strategies as st

from recsys_dagster.runtime.cron import cron_problem


def dagster_accepts(expression: str) -> bool:
    try:
        ScheduleDefinition(name="test", cron_schedule=expression, job_name="retrain")
    except DagsterInvalidDefinitionError:
        return False
    return True


@pytest.mark.parametrize(
    "expression",
    ["0 4 * * 1", "*/15 0-6/2 1,15 jan-mar mon", "0 4 29 2 *", "0 4 * * 7", "59 23 31 12 sun", "0 0 31 2,3 *"],
)
def test_valid_expressions_have_no_problem(expression: str) -> None:
    assert cron_problem(expression) is None
    assert dagster_accepts(expression)


@pytest.mark.parametrize(
    ("expression", "problem"),
    [
        ("61 4 * * 1", "'61' is not a valid minute"),
        ("0 24 * * *", "'24' is not a valid hour"),
        ("0 4 0 * *", "'0' is not a valid day of the month"),
        ("0 4 * 13 *", "'13' is not a valid month"),
        ("0 4 * * 8", "'8' is not a valid day of the week"),
        ("0 4 * * mo", "'mo' is not a valid day of the week"),
        ("*/0 4 * * *", "'*/0' is not a valid minute"),
        ("5-1 4 * * *", "'5-1' is not a valid minute"),
        ("0 4 31 2 *", "day 31 does not occur in month 2"),
        ("0 4 * *", "4 fields instead of 5"),
        ("", "0 fields instead of 5"),
        ("٣ 4 * * *", "is not a valid minute"),
    ],
)
def test_invalid_expressions_are_described(expression: str, problem: str) -> None:
    assert problem in (cron_problem(expression) or "")


FIELD = st.text("0123456789*/-,", min_size=1, max_size=5)


@given(st.lists(FIELD, min_size=5, max_size=5).map(" ".join))
def test_whatever_is_accepted_here_is_accepted_by_dagster(expression: str) -> None:
    if cron_problem(expression) is None:
        assert dagster_accepts(expression)
