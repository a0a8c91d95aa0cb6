"""Finish or undo a promotion by hand that was killed between its two steps.

A promotion swaps in the lists, then records the decision. It first writes what it is about to do, so that whoever comes
next can tell which of the two steps has happened.
"""

from dataclasses import asdict

from recsys_dagster.errors import RecsysError
from recsys_dagster.model_store.decisions import Decision, read_decisions, record_decision
from recsys_dagster.runtime.layout import Layout
from recsys_dagster.runtime.storage import read_json, write_json
from recsys_dagster.serving.lookup import open_without_lock


def begin_promotion(layout: Layout, domain: str, decision: Decision) -> None:
    """Write down which decision is recorded once its lists are published."""
    write_json(layout.promotion(domain), asdict(decision))


def finish_promotion(layout: Layout, domain: str) -> None:
    """Record the decision of a begun promotion if its lists are published, else forget it.

    The caller holds the domain.
    """
    path = layout.promotion(domain)
    if not path.exists():
        return
    try:
        decision = Decision(**read_json(path, "run the command again"))
        with open_without_lock(layout.published(domain)) as published:
            provenance = published.provenance()
    except (RecsysError, TypeError):  # nothing is published, or it cannot be read: then the promotion did not happen
        path.unlink()
        return
    is_published = (provenance.model, provenance.version) == (decision.model, decision.version)
    if is_published and decision not in read_decisions(layout, domain)[-1:]:
        record_decision(layout, domain, decision)
    path.unlink()
