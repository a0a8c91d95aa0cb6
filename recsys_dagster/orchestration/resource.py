"""The resource of every asset, check, schedule and sensor: the settings, and the domains that a run holds."""

import contextlib
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Self

import dagster as dg
from pydantic import Field, PrivateAttr

from recsys_dagster.ingest.domain_lookup import get_domain
from recsys_dagster.lifecycle.dataset_choice import with_chosen_dataset
from recsys_dagster.lifecycle.pending import settle
from recsys_dagster.runtime.layout import Layout
from recsys_dagster.runtime.locks import domain_lock
from recsys_dagster.settings import Settings, refuse_unknown_domains
from recsys_dagster.warehouse.domain_run import DomainRun

if TYPE_CHECKING:
    _Resource = dg.ConfigurableResource["Recsys"]
else:
    _Resource = dg.ConfigurableResource


class Recsys(_Resource):
    """The settings of the deployment. The fields are what the UI shows; a value from the Launchpad takes precedence."""

    home: str = Field(description="Folder that everything is written to (RECSYS_HOME).")
    datasets: dict[str, str] = Field(
        description="Dataset of each domain that was chosen with RECSYS_DATASET_<DOMAIN>. Any other domain keeps the "
        "dataset that is published, or starts with its default."
    )
    switch_dataset: bool = Field(
        default=False,
        description="Whether the published lists may be replaced by those of another dataset. A schedule never does.",
    )
    environment: dg.ResourceDependency[Settings]
    _held: contextlib.ExitStack = PrivateAttr(default_factory=contextlib.ExitStack)

    @classmethod
    def of(cls, settings: Settings, *, switch_dataset: bool = False) -> Self:
        """Return the resource over the given settings."""
        return cls(
            home=str(settings.home),
            datasets=dict(settings.datasets),
            switch_dataset=switch_dataset,
            environment=settings,
        )

    @cached_property
    def settings(self) -> Settings:
        """The settings of the deployment, with the values that the resource shows."""
        refuse_unknown_domains(self.datasets, Path(self.home))
        return self.environment.model_copy(update={"home": Path(self.home), "datasets": self.datasets})

    @property
    def layout(self) -> Layout:
        """The paths under RECSYS_HOME."""
        return Layout(self.settings.home)

    @contextlib.contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Iterator[Self]:
        """Release the domains that the run holds when it ends."""
        del context
        with self._held:
            yield self

    def look_at(self, domain: str) -> DomainRun:
        """Return the domain without holding it, to read from.

        Raises:
            RecsysError: the published lists are of another dataset than the settings name, and `switch_dataset` is off.
        """
        settings = with_chosen_dataset(self.settings, domain, switch=self.switch_dataset)
        return DomainRun(settings, get_domain(domain, settings))

    def hold(self, domain: str) -> DomainRun:
        """Hold the domain until the Dagster run ends, and return it.

        If another process holds it, such as `recsys run`, this waits up to RECSYS_WAIT_SECONDS and says so in the log.

        Raises:
            RecsysError: the domain is still held after that.
        """
        log = dg.get_dagster_logger()
        lock = domain_lock(self.layout, domain, wait_seconds=self.settings.wait_seconds, on_wait=log.warning)
        self._held.enter_context(lock)
        settle(self.layout, domain)
        # Only now: the run that held the domain may have published another dataset.
        return self._held.enter_context(self.look_at(domain))
