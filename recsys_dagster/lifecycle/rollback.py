"""Going back one step: to the previous lists and their champion. Imports little: whoever needs it is in a hurry."""

from recsys_dagster.model_store.store import ModelStore
from recsys_dagster.runtime.layout import Layout
from recsys_dagster.runtime.locks import domain_lock
from recsys_dagster.serving.lookup import Provenance, open_without_lock
from recsys_dagster.serving.swap import restore_previous


def rollback(layout: Layout, domain: str, reason: str) -> Provenance:
    """Publish the previous lists again and give their model its place back as champion; return where they come from.

    Where the champion's lists were never published, because a check failed or a run was killed, only the second.

    Raises:
        RecsysError: there are no lists to go back to, or a run of the domain is under way.
    """
    with domain_lock(layout, domain):
        store = ModelStore(layout)
        published = layout.published(domain)
        provenance = _provenance(layout, domain)
        if (provenance.model, provenance.version) == store.champion(domain):
            restore_previous(published, layout.previous(domain))
            provenance = _provenance(layout, domain)
        store.set_champion(domain, provenance.model, provenance.version, reason=reason, by="hand")
    return provenance


def _provenance(layout: Layout, domain: str) -> Provenance:
    with open_without_lock(layout.published(domain)) as lists:
        return lists.provenance()
