"""Describe the failures of a run, one line each."""

from collections.abc import Iterable

import dagster as dg

from recsys_dagster.runtime.storage import DISK_FULL, FULL_SIGNS

_WRAPPERS = ("Dagster", "RetryRequested", "Failure")
"""First words of the names of the errors that Dagster wraps around the cause."""


def failed_steps(events: Iterable[dg.DagsterEvent]) -> list[str]:
    """Return the cause of each failed step, one line each; of a failed check, its description."""
    return [_cause(event) for event in events if event.is_step_failure]


def failed_checks(events: Iterable[dg.DagsterEvent]) -> list[str]:
    """Return the descriptions of the failed checks that did not stop the run, without duplicates and warnings."""
    descriptions = [
        check.description or f"{check.asset_key.to_user_string()}: {check.check_name} failed"
        for check in (
            event.asset_check_evaluation_data
            for event in events
            if event.event_type is dg.DagsterEventType.ASSET_CHECK_EVALUATION
        )
        if not check.passed and not check.blocking and check.severity is dg.AssetCheckSeverity.ERROR
    ]
    return list(dict.fromkeys(descriptions))


def _cause(event: dg.DagsterEvent) -> str:
    """Return why a step failed, in a line: the error of our code, without the errors that Dagster wraps around it."""
    step = (event.step_key or "").replace("__", "/")
    error = event.step_failure_data.error
    while error is not None and error.cause is not None and (error.cls_name or "").startswith(_WRAPPERS):
        error = error.cause
    if event.step_failure_data.user_failure_data is not None and event.step_failure_data.user_failure_data.description:
        return event.step_failure_data.user_failure_data.description
    if error is None:
        return f"{step}: failed"
    kind, _, message = error.message.strip().partition(": ")
    if kind.startswith("recsys_dagster."):
        return f"{step}: {message}"
    full = any(sign in error.message for sign in FULL_SIGNS)
    return f"{step}: {' '.join(error.message.split())}{f'; {DISK_FULL}' if full else ''}"
