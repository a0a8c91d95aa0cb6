"""Store who became a domain's champion, when, why and by whom.

The pointer to the champion and the history of all decisions are one file, which is replaced as a whole. They agree also
if the process is killed at any moment.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import TypeAdapter, ValidationError

from recsys_dagster.errors import RecsysError
from recsys_dagster.runtime.layout import Layout
from recsys_dagster.runtime.storage import read_json, remove_leftovers, write_json

By = Literal["gate", "hand"]


@dataclass(frozen=True)
class Decision:
    """One decision on the champion of a domain.

    Attributes:
        at: time in UTC, ISO 8601, to the second.
        model, version: the champion from then on.
        previous_model, previous_version: the champion until then; None if there was none.
        reason: why, in words.
        by: `gate` for a decision of a run, `hand` for one by a user.
        metrics: the champion's main metrics by name, as known then.
        objections: why each other model was not chosen, by name; empty if the gate compared none.
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


@dataclass(frozen=True)
class Rejection:
    """A decision whose lists a person did not want.

    Attributes:
        at: time in UTC, ISO 8601, to the second.
        reason: why, in words.
        decision: what was rejected.
    """

    at: str
    reason: str
    decision: Decision

    def as_decision(self) -> Decision:
        """Return it as a row of the history, in which the champion stays as it was."""
        return replace(
            self.decision,
            at=self.at,
            by="hand",
            model=f"{self.decision.model} (rejected)",
            reason=f"rejected: {self.reason}; {self.decision.reason}",
        )


_Row = TypeVar("_Row")
_DECISIONS = TypeAdapter(list[Decision])
_REJECTIONS = TypeAdapter(list[Rejection])


def read_decisions(layout: Layout, domain: str) -> list[Decision]:
    """Return all decisions on a domain's champion, the oldest first; an empty list before the first.

    Raises:
        RecsysError: the file is damaged.
    """
    cure = "move it away, then run the domain again: the gate chooses a champion and a new history begins"
    return _read(layout.champion(domain), "decisions", _DECISIONS, cure)


def _read(path: Path, key: str, rows: TypeAdapter[list[_Row]], cure: str) -> list[_Row]:
    """Return the rows under a key of a JSON file; none if there is no file."""
    if not path.exists():
        return []
    try:
        return rows.validate_python(read_json(path, cure)[key])
    except (KeyError, TypeError, ValidationError):
        raise RecsysError(f"{path}: damaged, or written by another version of this project; {cure}") from None


def make_decision(
    layout: Layout,
    domain: str,
    model: str,
    version: str,
    *,
    reason: str,
    by: By,
    metrics: Mapping[str, float],
    objections: Mapping[str, str] | None = None,
) -> Decision:
    """Return the decision that makes a version the champion, without recording it."""
    decisions = read_decisions(layout, domain)
    last = decisions[-1] if decisions else None
    return Decision(
        at=datetime.now(UTC).isoformat(timespec="seconds"),
        model=model,
        version=version,
        previous_model=last.model if last else None,
        previous_version=last.version if last else None,
        reason=reason,
        by=by,
        metrics=dict(metrics),
        objections=dict(objections or {}),
    )


def record_decision(layout: Layout, domain: str, decision: Decision) -> None:
    """Append a decision to the history, and point the champion at its version, in one step."""
    remove_leftovers(layout.models(domain))
    rows = [asdict(row) for row in [*read_decisions(layout, domain), decision]]
    champion = {"model": decision.model, "version": decision.version}
    write_json(layout.champion(domain), {**champion, "decisions": rows})


def read_rejections(layout: Layout, domain: str) -> list[Rejection]:
    """Return all rejections, the oldest first.

    Raises:
        RecsysError: the file is damaged.
    """
    cure = "move it away: the history of champions does not need it"
    return _read(layout.rejections(domain), "rejections", _REJECTIONS, cure)


def record_rejection(layout: Layout, domain: str, decision: Decision, reason: str) -> None:
    """Append a rejection, unless the decision is rejected already."""
    rejections = read_rejections(layout, domain)
    if decision not in [one.decision for one in rejections]:
        rejections.append(Rejection(datetime.now(UTC).isoformat(timespec="seconds"), reason, decision))
        write_json(layout.rejections(domain), {"rejections": _REJECTIONS.dump_python(rejections, mode="json")})


def previous_champions(decisions: list[Decision]) -> list[tuple[str, str]]:
    """Return the (model, version) of each earlier champion, the most recent first, without repetition.

    The present champion is not among them, whatever it was before.
    """
    if not decisions:
        return []
    present = (decisions[-1].model, decisions[-1].version)
    earlier = dict.fromkeys((row.model, row.version) for row in reversed(decisions))
    return [champion for champion in earlier if champion != present]
