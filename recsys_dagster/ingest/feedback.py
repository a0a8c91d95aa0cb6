"""Take what `recsys serve` was told as a growing source of the next run.

The service appends events to a spool (`serving/feedback.py`). A run copies those that mean an interaction into one file
of the dataset, by a rule: an event with a rating is a rating, and an event of RECSYS_FEEDBACK_EVENTS an interaction
without one. The file is part of the data version as the publisher's files are.
"""

import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from recsys_dagster.ingest.catalogue import Dataset
from recsys_dagster.ingest.manifest import Manifest, ManifestFile
from recsys_dagster.runtime.layout import Layout
from recsys_dagster.runtime.storage import replacing, sha256
from recsys_dagster.settings import Settings

FEEDBACK_FILE = "feedback.jsonl"
"""Name of the file among those of a dataset."""

_NAME = re.compile(r"feedback-([0-9a-f]{64})-([0-9]+)\.jsonl")
_MEMORY_LIMIT = "512MB"

_EVENTS = """
SELECT user_id, item_id, CASE WHEN rating IS NOT NULL THEN 'rating' ELSE event END AS event, rating, "time"
FROM read_json(
    $files,
    format = 'newline_delimited',
    -- A line that a killed process wrote in part was never acknowledged.
    ignore_errors = true,
    columns = {
        user_id: 'VARCHAR', item_id: 'VARCHAR', event: 'VARCHAR', rating: 'FLOAT', "time": 'TIMESTAMPTZ',
        dataset: 'VARCHAR'
    }
)
WHERE dataset = $dataset AND "time" <= $now AND (rating IS NOT NULL OR list_contains($events, event))
ORDER BY "time", user_id, item_id, event, rating
"""


def take_feedback(dataset: Dataset, settings: Settings) -> None:
    """Copy the events of a dataset that mean an interaction out of the spool; no file is left if there are none."""
    layout = Layout(settings.home)
    folder = layout.raw(dataset.id)
    files = sorted(map(str, layout.feedback(dataset.domain).glob("events-*.jsonl")))
    taken = None
    if settings.feedback and files:
        with replacing(folder / FEEDBACK_FILE) as unfinished:
            rows = _copy_events(files, dataset, settings, unfinished)
        taken = folder / f"feedback-{sha256(folder / FEEDBACK_FILE)}-{rows}.jsonl"
        (folder / FEEDBACK_FILE).rename(taken)
        if not rows:
            taken = None
    for path in folder.glob("feedback-*.jsonl"):
        if path != taken:
            path.unlink()


def with_feedback(manifest: Manifest, settings: Settings) -> Manifest:
    """Return the manifest with the events that were taken last, if there are any and RECSYS_FEEDBACK is on."""
    if not settings.feedback:
        return manifest
    for path in sorted(Layout(settings.home).raw(manifest.dataset_id).glob("feedback-*.jsonl")):
        if match := _NAME.fullmatch(path.name):
            file = ManifestFile(path, path.stat().st_size, match[1], int(match[2]), (), "jsonl")
            return replace(manifest, files={**manifest.files, FEEDBACK_FILE: file})
    return manifest


def _copy_events(files: list[str], dataset: Dataset, settings: Settings, target: Path) -> int:
    """Write the events as JSON lines in the order of their times; return how many there are."""
    parameters = {
        "files": files,
        "dataset": dataset.id,
        "now": datetime.now(UTC),
        "events": list(settings.feedback_events),
    }
    with duckdb.connect(config={"memory_limit": _MEMORY_LIMIT, "temp_directory": str(target.parent)}) as connection:
        connection.execute("SET timezone = 'UTC'")
        connection.execute(f"CREATE TABLE events AS {_EVENTS}", parameters)
        connection.execute(f"COPY events TO '{str(target).replace(chr(39), chr(39) * 2)}' (FORMAT json)")
        return int(connection.execute("SELECT count(*) FROM events").fetchall()[0][0])
