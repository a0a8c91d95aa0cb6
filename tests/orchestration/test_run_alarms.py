"""What raises an alarm: old lists, a failed run, a failed model."""

import os
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
from small_publication import provenance, publish_small
from watching import look, retrain, settings
from webhook import Webhook

from recsys_dagster.models.registry import get_model_class
from recsys_dagster.orchestration.build import build_definitions
from recsys_dagster.orchestration.resource import Recsys
from recsys_dagster.runtime.layout import Layout
from recsys_dagster.runtime.units import DAY_SECONDS
from recsys_dagster.settings import Settings


def test_the_lists_of_each_domain_have_an_age_of_their_own(
    tmp_path: Path, instance: dg.DagsterInstance, webhook: Webhook
) -> None:
    chosen = settings(tmp_path, webhook=webhook.url)
    layout = Layout(tmp_path)
    for domain, days in {"anime": 1, "movie": 9}.items():
        created_at = datetime.now(UTC).replace(tzinfo=None) - timedelta(days=days)
        publish_small(layout.published(domain), provenance=replace(provenance(), created_at=created_at))
        restored = time.time() + (DAY_SECONDS if domain == "movie" else -99 * DAY_SECONDS)
        os.utime(layout.published(domain), (restored, restored))  # says nothing about the lists
    looked = look(chosen, instance, sensor="watch_staleness")
    found = {evaluation.partition: evaluation for evaluation in looked.asset_events}
    assert found["anime"].passed
    assert not found["movie"].passed
    assert found["movie"].description == "movie: the lists are 9.0 days old; 8 are allowed"
    assert webhook.told == ["recsys: movie: the lists are 9.0 days old; 8 are allowed"]
    look(chosen, instance, looked.cursor, sensor="watch_staleness")
    assert len(webhook.told) == 1


def told_of(chosen: Settings, instance: dg.DagsterInstance, result: dg.ExecuteInProcessResult) -> None:
    """Let the sensors see the run as the daemon would."""
    definitions = build_definitions(chosen)
    run = instance.get_run_by_id(result.run_id)
    assert run is not None
    name = "alarm_on_failed_checks" if result.success else "alarm_on_failure"
    kind = dg.DagsterEventType.RUN_SUCCESS if result.success else dg.DagsterEventType.RUN_FAILURE
    (event,) = [event for event in result.all_events if event.event_type is kind]
    with dg.build_run_status_sensor_context(
        sensor_name=name,
        dagster_event=event,
        dagster_instance=instance,
        dagster_run=run,
        resources={"recsys": Recsys.of(chosen)},
        repository_def=definitions.get_repository_def(),
    ) as context:
        definitions.resolve_sensor_def(name)(context if result.success else context.for_run_failure())


def boom(*_: object) -> None:
    raise ValueError("boom")


def test_a_failed_run_raises_an_alarm_with_its_cause(
    tmp_path: Path, instance: dg.DagsterInstance, webhook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = settings(tmp_path, webhook=webhook.url)
    monkeypatch.setattr(get_model_class("popularity"), "_fit", boom)
    result = retrain(chosen, instance, raise_on_error=False)
    told_of(chosen, instance, result)
    (text,) = webhook.told
    assert text.splitlines() == [
        f"recsys: retrain of movie failed (run {result.run_id})",
        "models/popularity: popularity failed: ValueError: boom; nothing is published without the baseline",
    ]


def test_a_failed_model_raises_an_alarm_although_the_run_succeeded_and_a_good_run_does_not(
    tmp_path: Path, instance: dg.DagsterInstance, webhook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = settings(tmp_path, webhook=webhook.url, models=("item_knn",))
    with monkeypatch.context() as patch:
        patch.setattr(get_model_class("item_knn"), "_fit", boom)
        lame = retrain(chosen, instance)
    told_of(chosen, instance, lame)
    assert [text.splitlines()[1:] for text in webhook.told] == [["item_knn failed: ValueError: boom"]]
    told_of(chosen, instance, retrain(chosen, instance))
    assert len(webhook.told) == 1


def test_lists_that_wait_for_approval_raise_an_alarm_with_the_command_that_shows_them(
    tmp_path: Path, instance: dg.DagsterInstance, webhook: Webhook
) -> None:
    chosen = settings(tmp_path, webhook=webhook.url, promotion="manual")
    result = retrain(chosen, instance)
    told_of(chosen, instance, result)
    (text,) = webhook.told
    first, second = text.splitlines()
    assert first == f"recsys: retrain of movie is done (run {result.run_id})"
    assert second.endswith(" wait for approval; look at them with `recsys review --domain movie`")
