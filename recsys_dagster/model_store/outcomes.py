"""What came of each model in the last run that was to fit it: `models/<domain>/<model>/outcome.json`."""

import json
from dataclasses import asdict
from pathlib import Path

from recsys_dagster.models.attempt import Outcome, State
from recsys_dagster.runtime.layout import Layout
from recsys_dagster.runtime.storage import write_json

OUTCOME = "outcome.json"


def write_outcome(layout: Layout, domain: str, outcome: Outcome) -> None:
    """Keep what came of a model, in place of what came of it before."""
    write_json(_path(layout, domain, outcome.model), asdict(outcome))


def read_outcome(layout: Layout, domain: str, model: str) -> Outcome | None:
    """Return what came of a model last; None where nothing was tried yet, or what is written is no outcome."""
    try:
        found = json.loads(_path(layout, domain, model).read_text(encoding="utf-8"))
        return Outcome(**{**found, "state": State(found["state"])})
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def read_outcomes(layout: Layout, domain: str, *, id_map_hash: str) -> dict[str, Outcome]:
    """Return, by model, what came of those that were to be fitted on the users and titles of that hash."""
    names = sorted(path.parent.name for path in layout.models(domain).glob(f"*/{OUTCOME}"))
    found = {name: read_outcome(layout, domain, name) for name in names}
    return {name: outcome for name, outcome in found.items() if outcome and outcome.id_map_hash == id_map_hash}


def _path(layout: Layout, domain: str, model: str) -> Path:
    return layout.models(domain) / model / OUTCOME
