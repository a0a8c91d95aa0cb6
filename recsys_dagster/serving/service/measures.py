"""Count and time the requests, for Prometheus."""

import os
from collections.abc import Iterable
from datetime import UTC, datetime

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from recsys_dagster.serving.service.publications import Publications

SHARED_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
"""Variable with the folder in which several processes keep their figures; prometheus_client reads it at import."""

_BUCKETS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5)


class Measures:
    """What `/metrics` shows: of all processes of the service where they share a folder, else of this one.

    Attributes:
        fallbacks: answers with popular items in place of a list, by domain.
        feedback: events that were stored, by domain.
    """

    def __init__(self, publications: Publications) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter("recsys_requests", "Requests", ["route", "status"], registry=self._registry)
        self._seconds = Histogram(
            "recsys_request_seconds", "Latency", ["route"], buckets=_BUCKETS, registry=self._registry
        )
        self.fallbacks = Counter("recsys_fallbacks", "Answers with popular items", ["domain"], registry=self._registry)
        self.feedback = Counter("recsys_feedback", "Stored feedback events", ["domain"], registry=self._registry)
        self._lists = _Lists(publications)
        self._of_route: dict[tuple[str, int], tuple[Counter, Histogram]] = {}

    def note_request(self, route: str, status: int, seconds: float) -> None:
        """Count a request of a route with a status, and its latency."""
        known = self._of_route.get((route, status))
        if known is None:  # finding the series of some labels takes longer than adding to it
            known = self._requests.labels(route, status), self._seconds.labels(route)
            self._of_route[route, status] = known
        known[0].inc()
        known[1].observe(seconds)

    def text(self) -> bytes:
        """Return all figures in Prometheus's text format."""
        registry = self._registry
        if SHARED_FOLDER in os.environ:
            registry = CollectorRegistry()
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        lists = CollectorRegistry()
        lists.register(self._lists)
        return generate_latest(registry) + generate_latest(lists)


class _Lists(Collector):
    """The age and version of the lists of each domain, read when they are asked for."""

    def __init__(self, publications: Publications) -> None:
        self._publications = publications

    def collect(self) -> Iterable[Metric]:
        age = GaugeMetricFamily("recsys_lists_age_seconds", "Age of the published lists", labels=["domain"])
        info = InfoMetricFamily("recsys_lists", "Champion of the published lists", labels=["domain"])
        now = datetime.now(UTC).replace(tzinfo=None)
        for domain, snapshot in sorted(self._publications.snapshots.items()):
            origin = snapshot.provenance
            age.add_metric([domain], (now - origin.created_at).total_seconds())
            info.add_metric([domain], {"model": origin.model, "version": origin.version, "dataset": origin.dataset})
        return [age, info]
