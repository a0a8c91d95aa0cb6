"""Keep a decision on the champion until its lists are published: only then is it recorded, and counts.

The lists are swapped in by one rename, and the decision is recorded right after. A process may be killed in between, so
the decision is written down before, together with when its lists were made. Whoever comes next can tell by the
published file whether it counts.
"""

from dataclasses import dataclass
from datetime import datetime

from pydantic import TypeAdapter, ValidationError

from recsys_dagster.errors import RecsysError
from recsys_dagster.model_store.decisions import Decision, read_decisions
from recsys_dagster.model_store.store import ModelStore
from recsys_dagster.runtime.layout import Layout
from recsys_dagster.runtime.storage import read_json, write_json
from recsys_dagster.serving.lookup import open_without_lock
from recsys_dagster.serving.provenance import Provenance


@dataclass(frozen=True)
class _Pending:
    """A decision that is not recorded yet, and when its lists were made; None: they are still to be made."""

    decision: Decision
    lists_made_at: datetime | None


_PENDING = TypeAdapter(_Pending)


def write_pending(layout: Layout, domain: str, decision: Decision, lists: Provenance | None = None) -> None:
    """Write down a decision that is to be recorded once its lists are published; an earlier one is forgotten.

    Args:
        layout: the paths under RECSYS_HOME.
        domain: name of the domain, which the caller holds.
        decision: the decision.
        lists: the lists that are about to be swapped in; None: they are still to be made.
    """
    pending = _Pending(decision, lists.created_at if lists else None)
    write_json(layout.pending_decision(domain), _PENDING.dump_python(pending, mode="json"))


def choice_of_gate(layout: Layout, domain: str) -> Decision | None:
    """Return the decision of the gate whose lists are not published yet; None if there is none."""
    pending = _read(layout, domain)
    return pending.decision if pending and pending.decision.by == "gate" else None


def settle(layout: Layout, domain: str) -> None:
    """Record the pending decision if its lists are published; the caller holds the domain."""
    pending = _read(layout, domain)
    if pending is None or not _is_published(layout, domain, pending):
        return
    if pending.decision not in read_decisions(layout, domain):
        ModelStore(layout).set_champion(domain, pending.decision)
    layout.pending_decision(domain).unlink()


def published_history(layout: Layout, domain: str) -> list[Decision]:
    """Return the decisions on the domain's champion, the oldest first; the last one is on the published champion.

    It needs no lock: a decision whose lists are published and that is not recorded yet is among them.
    """
    pending = _read(layout, domain)
    counts = pending is not None and _is_published(layout, domain, pending)
    decisions = ModelStore(layout).history(domain)  # read last: it is written before the pending decision is removed
    if pending is None or not counts or pending.decision in decisions:
        return decisions
    return [*decisions, pending.decision]


def _read(layout: Layout, domain: str) -> _Pending | None:
    path = layout.pending_decision(domain)
    if not path.exists():
        return None
    try:
        return _PENDING.validate_python(read_json(path, "run the domain again"))
    except (RecsysError, ValidationError):  # removed meanwhile, or damaged: then nothing is pending
        return None


def _is_published(layout: Layout, domain: str, pending: _Pending) -> bool:
    try:
        with open_without_lock(layout.published(domain)) as published:
            lists = published.provenance()
    except RecsysError:  # nothing is published, or it cannot be read
        return False
    decision = pending.decision
    return (lists.model, lists.version, lists.created_at) == (
        decision.model,
        decision.version,
        pending.lists_made_at,
    )
