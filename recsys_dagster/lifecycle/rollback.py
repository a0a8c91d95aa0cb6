"""Go back to the lists that were published before, and to their champion.

It imports little, because whoever needs it is in a hurry.
"""

from recsys_dagster.errors import RecsysError
from recsys_dagster.lifecycle.pending import settle, write_pending
from recsys_dagster.model_store.store import ModelStore
from recsys_dagster.runtime.layout import MAX_KEPT_LISTS, Layout
from recsys_dagster.runtime.locks import domain_lock
from recsys_dagster.serving.lookup import open_without_lock
from recsys_dagster.serving.provenance import Provenance
from recsys_dagster.serving.swap import earlier_files, restore_previous


def rollback(layout: Layout, domain: str, reason: str) -> Provenance:
    """Publish the lists before the present ones again, and make their model the champion; return their origin.

    Called again, it goes back another step, as long as earlier lists are kept.

    Args:
        layout: the paths under RECSYS_HOME.
        domain: name of the domain.
        reason: for the history.

    Raises:
        RecsysError: there are no earlier lists, their model is not kept any more, or a run of the domain is active.
    """
    previous = [layout.previous(domain, step) for step in range(1, MAX_KEPT_LISTS + 1)]
    with domain_lock(layout, domain):
        settle(layout, domain)
        published = layout.published(domain)
        earlier = earlier_files(published, *previous)
        if not earlier:
            raise RecsysError(
                f"{previous[0]}: there are no lists to go back to; RECSYS_KEEP_LISTS says how many are kept"
            )
        with open_without_lock(earlier[0]) as lists:
            provenance = lists.provenance()
        # It fails if the version is not kept any more; nothing has changed until then.
        decision = ModelStore(layout).decide(domain, provenance.model, provenance.version, reason=reason, by="hand")
        write_pending(layout, domain, decision, provenance)
        restore_previous(published, *previous)
        settle(layout, domain)
    return provenance
