"""Store the outcome of each model in the last run that included it."""

import json
from dataclasses import asdict

from recsys_dagster.models.attempt import Outcome, State
from recsys_dagster.runtime.layout import Layout
from recsys_dagster.runtime.storage import write_json


def write_outcome(layout: Layout, domain: str, outcome: Outcome) -> None:
    """Store the outcome of a model, replacing the previous one."""
    write_json(layout.outcome(domain, outcome.model), asdict(outcome))


def read_outcome(layout: Layout, domain: str, model: str) -> Outcome | None:
    """Return the last outcome of a model; None if there is none, or if the file is damaged."""
    try:
        fields = json.loads(layout.outcome(domain, model).read_text(encoding="utf-8"))
        return Outcome(**{**fields, "state": State(fields["state"])})
    except (OSError, ValueError, KeyError, TypeError):
        return None


def read_outcomes(layout: Layout, domain: str, *, id_map_hash: str) -> dict[str, Outcome]:
    """Return the outcome of each model that was to be fitted on the users and items of that hash, by name."""
    paths = sorted(layout.models(domain).glob(f"*/{layout.outcome(domain, '*').name}"))
    outcomes = {path.parent.name: read_outcome(layout, domain, path.parent.name) for path in paths}
    return {name: outcome for name, outcome in outcomes.items() if outcome and outcome.id_map_hash == id_map_hash}
