"""Let lists wait until a person approves or rejects them: RECSYS_PROMOTION=manual.

A run builds and checks its lists as always, and then moves them aside with a review. Readers keep what they have.
`approve` publishes them by the same swap as a run does; `reject` removes them. Both stand in the history.

The caller of `leave_waiting`, `approve` and `reject` holds the domain.
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from recsys_dagster.errors import RecsysError
from recsys_dagster.lifecycle.pending import settle
from recsys_dagster.lifecycle.publication import checked_choice, publish_built, remove_old_versions, swap_in_lists
from recsys_dagster.lifecycle.review import Review, make_review
from recsys_dagster.model_store.decisions import Decision, record_rejection
from recsys_dagster.model_store.store import ModelStore
from recsys_dagster.quality.lists import forbidden_in
from recsys_dagster.runtime.layout import Layout
from recsys_dagster.runtime.storage import read_json, write_json
from recsys_dagster.serving.lookup import open_without_lock
from recsys_dagster.serving.provenance import Provenance
from recsys_dagster.serving.swap import replace_database
from recsys_dagster.warehouse.domain_run import DomainRun


@dataclass(frozen=True)
class Lists:
    """Which lists are meant: their model, its version, and when they were made, in UTC."""

    model: str
    version: str
    made_at: datetime

    @classmethod
    def of(cls, provenance: Provenance) -> "Lists":
        """Return what identifies the lists of a provenance."""
        return cls(provenance.model, provenance.version, provenance.created_at)

    def __str__(self) -> str:
        return f"{self.model}'s of {self.made_at:%Y-%m-%d %H:%M:%S} UTC"


@dataclass(frozen=True)
class Waiting:
    """Lists that wait.

    Attributes:
        decision: makes their model the champion when they are approved.
        lists: which lists they are.
        live: which lists were live when these were made; None: none.
        replaced: which lists had waited before and were replaced by these; None: none.
        review: how they differ from the live ones.
    """

    decision: Decision
    lists: Lists
    live: Lists | None
    replaced: Lists | None
    review: Review


_WAITING = TypeAdapter(Waiting)


def publish_or_wait(run: DomainRun) -> Provenance | Waiting:
    """Publish the built lists, or let them wait if RECSYS_PROMOTION is manual; see `publish_built`, `leave_waiting`.

    Lists that are published make those that waited obsolete: these are removed.
    """
    if run.settings.promotion == "manual":
        return leave_waiting(run)
    provenance = publish_built(run)
    discard_waiting(run.layout, run.domain.name)
    return provenance


def leave_waiting(run: DomainRun) -> Waiting:
    """Let the built lists wait, in the place of others that may have waited; what is published stays.

    Raises:
        RecsysError: no lists were built, they are not the champion's, or they fail a check; those that waited stay.
    """
    layout, domain = run.layout, run.domain.name
    provenance, decision = checked_choice(run)
    if decision is None:
        reason = "the champion stays; its lists were made again"
        decision = ModelStore(layout).decide(domain, provenance.model, provenance.version, reason=reason, by="gate")
    earlier = find_waiting(layout, domain)
    waiting = Waiting(
        decision,
        Lists.of(provenance),
        _live(layout, domain),
        earlier.lists if earlier else None,
        make_review(run, decision),
    )
    layout.waiting(domain).parent.mkdir(parents=True, exist_ok=True)
    replace_database(layout.built(domain), layout.waiting(domain))
    write_json(layout.review(domain), _WAITING.dump_python(waiting, mode="json"))
    layout.pending_decision(domain).unlink(missing_ok=True)
    remove_old_versions(run)
    return waiting


def describe_waiting(domain: str, waiting: Waiting) -> str:
    """Return in one line that lists wait, and the command that shows them."""
    instead = f", in the place of {waiting.replaced}, which nobody approved" if waiting.replaced else ""
    model, command = waiting.decision.model, f"recsys review --domain {domain}"
    return f"{domain}: the lists of {model} wait for approval{instead}; look at them with `{command}`"


def find_waiting(layout: Layout, domain: str) -> Waiting | None:
    """Return the lists that wait; None if there are none, or if a run was killed while it left them.

    It needs no lock.
    """
    if not layout.waiting(domain).exists() or not layout.review(domain).exists():
        return None
    try:
        waiting = _WAITING.validate_python(read_json(layout.review(domain), "run the domain again"))
        with open_without_lock(layout.waiting(domain)) as lists:
            is_whole = Lists.of(lists.provenance()) == waiting.lists
    except (RecsysError, ValidationError):  # removed meanwhile, or damaged
        return None
    return waiting if is_whole else None


def newest_lists(layout: Layout, domain: str) -> Path:
    """Return the file of the lists that a run made last: those that wait, or else the published ones."""
    return layout.published(domain) if find_waiting(layout, domain) is None else layout.waiting(domain)


def require_waiting(layout: Layout, domain: str) -> Waiting:
    """Return the lists that wait.

    Raises:
        RecsysError: no lists wait.
    """
    waiting = find_waiting(layout, domain)
    if waiting is not None:
        return waiting
    path = layout.waiting(domain)
    if path.exists():
        raise RecsysError(f"{path}: incomplete, as a run was killed while it left it; `recsys run --domain {domain}`")
    raise RecsysError(
        f"{path}: no lists of {domain} wait; with RECSYS_PROMOTION=manual, `recsys run --domain {domain}` leaves some"
    )


def approve(run: DomainRun, reason: str) -> Provenance:
    """Publish the lists that wait, and make their model the champion; return their origin.

    Everything is changed or nothing. It needs the lists and the record of their model, but not the warehouse.

    Args:
        run: the domain.
        reason: is added to that of the decision.

    Raises:
        RecsysError: no lists wait, the live ones are not those that they were compared with, a rule forbids an item of
            theirs by now, or their model is not kept any more; what is published stays.
    """
    layout, domain = run.layout, run.domain.name
    settle(layout, domain)
    waiting = require_waiting(layout, domain)
    if (live := _live(layout, domain)) != waiting.live:
        raise RecsysError(
            f"{layout.waiting(domain)}: compared with {waiting.live or 'no lists'}, but now {live or 'none'} are live; "
            f"`recsys run --domain {domain}` makes new ones, `recsys reject` removes these"
        )
    faults = [str(one) for one in forbidden_in(layout.waiting(domain), layout.rules(domain)) if not one.passed]
    if faults:
        cure = f"`recsys run --domain {domain}` makes new ones"
        raise RecsysError(f"{layout.waiting(domain)}: not published: {'; '.join(faults)}; {cure}")
    decided = waiting.decision
    ModelStore(layout).record(domain, decided.model, decided.version)
    decision = replace(decided, at=_now(), by="hand", reason=f"{decided.reason}; {reason}")
    with open_without_lock(layout.waiting(domain)) as lists:
        provenance = lists.provenance()
    swap_in_lists(run, layout.waiting(domain), decision, provenance)
    layout.review(domain).unlink(missing_ok=True)
    return provenance


def reject(layout: Layout, domain: str, reason: str) -> Waiting:
    """Remove the lists that wait, and keep in the history that they were rejected; return them.

    Raises:
        RecsysError: no lists wait.
    """
    settle(layout, domain)
    waiting = require_waiting(layout, domain)
    record_rejection(layout, domain, waiting.decision, reason)
    discard_waiting(layout, domain)
    return waiting


def discard_waiting(layout: Layout, domain: str) -> None:
    """Remove lists that wait, if there are any."""
    layout.review(domain).unlink(missing_ok=True)
    layout.waiting(domain).unlink(missing_ok=True)


def _live(layout: Layout, domain: str) -> Lists | None:
    if not layout.published(domain).exists():
        return None
    with open_without_lock(layout.published(domain)) as published:
        return Lists.of(published.provenance())


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
