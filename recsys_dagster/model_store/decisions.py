"""Who became a domain's champion, when, why and by whom: the pointer and its whole history in one file.

`models/<domain>/champion.json` is replaced as one, so that the pointer and the history never disagree, also when a
process is killed between any two steps.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Literal

from recsys_dagster.errors import RecsysError
from recsys_dagster.runtime.layout import Layout
from recsys_dagster.runtime.storage import read_json, remove_leftovers, write_json

By = Literal["gate", "hand"]


@dataclass(frozen=True)
class Decision:
    """A row of the history.

    Attributes:
        at: time in UTC, ISO 8601, to the second.
        model, version: the champion from then on.
        previous_model, previous_version: the champion until then; None where there was none.
        reason: in words.
        by: the gate of a run, or a person's hand.
        metrics: the champion's headline figures by name, as they were known then.
        objections: why each other model was not taken, by name; empty where the gate compared none.
    """

    at: str
    model: str
    version: str
    previous_model: str | None
    previous_version: str | None
    reason: str
    by: By
    metrics: dict[str, float]
    objections: dict[str, str] = field(default_factory=dict)


def read_decisions(layout: Layout, domain: str) -> list[Decision]:
    """Return the history of a domain, the oldest first; none where no champion was chosen yet.

    Raises:
        RecsysError: the file is damaged.
    """
    path = layout.champion(domain)
    if not path.exists():
        return []
    cure = "move it away, then run the domain again: the gate chooses anew and the history begins anew"
    try:
        return [Decision(**row) for row in read_json(path, cure)["decisions"]]
    except (KeyError, TypeError):
        raise RecsysError(f"{path}: written by another version of this project; {cure}") from None


def append_decision(
    layout: Layout,
    domain: str,
    model: str,
    version: str,
    *,
    reason: str,
    by: By,
    metrics: dict[str, float],
    objections: Mapping[str, str] | None = None,
) -> Decision:
    """Make a version the champion and write down why, in one step; return the new row of the history."""
    decisions = read_decisions(layout, domain)
    last = decisions[-1] if decisions else None
    decision = Decision(
        at=datetime.now(UTC).isoformat(timespec="seconds"),
        model=model,
        version=version,
        previous_model=last.model if last else None,
        previous_version=last.version if last else None,
        reason=reason,
        by=by,
        metrics=metrics,
        objections=dict(objections or {}),
    )
    remove_leftovers(layout.models(domain))
    rows = [asdict(row) for row in [*decisions, decision]]
    write_json(layout.champion(domain), {"model": model, "version": version, "decisions": rows})
    return decision
