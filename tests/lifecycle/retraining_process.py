"""Retrains a domain over and over, as a run does it: a version, the champion, the lists, no old versions.

Run as a program on a RECSYS_HOME; it prints a line after each publication.
"""

import sys
from pathlib import Path

from small_publication import provenance, publish_small
from small_world import world_of

from recsys_dagster.lifecycle.pending import settle, write_pending
from recsys_dagster.model_store.store import ModelStore
from recsys_dagster.models.baselines.popularity import Popularity
from recsys_dagster.runtime.layout import Layout
from recsys_dagster.runtime.locks import domain_lock
from recsys_dagster.runtime.resource_usage import ResourceUsage
from recsys_dagster.serving.swap import swap_in


def retrain(layout: Layout, domain: str = "anime") -> str:
    """Fit, choose, publish and prune once; return the version."""
    store = ModelStore(layout)
    with domain_lock(layout, domain):
        model = Popularity().fit(world_of([[8, 9], [7, 0]]))
        version = store.save(domain, model, data_version="d", id_map_hash="i", usage=ResourceUsage())
        decision, lists = store.decide(domain, model.name, version, reason="newer", by="gate"), provenance(version)
        publish_small(layout.built(domain), provenance=lists)
        write_pending(layout, domain, decision, lists)
        swap_in(layout.built(domain), layout.published(domain), layout.previous(domain))
        settle(layout, domain)
        store.prune(domain, keep=1)
    return version


if __name__ == "__main__":
    while True:
        sys.stdout.write(retrain(Layout(Path(sys.argv[1]))) + "\n")
        sys.stdout.flush()
