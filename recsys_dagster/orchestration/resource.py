"""The resource that every asset, check, schedule and sensor is given: the settings, and the domains of a run."""

import contextlib
from collections.abc import Iterator

import dagster as dg

from recsys_dagster.domains import get_domain
from recsys_dagster.runtime.layout import Layout
from recsys_dagster.settings import Settings
from recsys_dagster.warehouse.domain_run import DomainRun


class Recsys:
    """The settings of the deployment, and the domains that this Dagster run holds until it ends.

    Attributes:
        settings: what the deployment chose.
        layout: the paths under RECSYS_HOME.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.layout = Layout(settings.home)
        self.held = contextlib.ExitStack()

    def look_at(self, domain: str) -> DomainRun:
        """Return the domain without holding it, to read from."""
        return DomainRun(self.settings, get_domain(domain))

    def hold(self, domain: str) -> DomainRun:
        """Hold the domain until the Dagster run ends, and return it; raise RecsysError if another process holds it."""
        return self.held.enter_context(self.look_at(domain))


def recsys_resource(settings: Settings) -> dg.ResourceDefinition:
    """Return the resource over the given settings."""

    @dg.resource(description="Settings and domains of this deployment.")
    def recsys(_: dg.InitResourceContext) -> Iterator[Recsys]:
        resource = Recsys(settings)
        with resource.held:
            yield resource

    return recsys
