"""Give access to one domain: its lock, its warehouse, its dataset and the manifest of its files."""

import contextlib
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Self

from recsys_dagster.domains import Domain
from recsys_dagster.errors import RecsysError, UsageError
from recsys_dagster.runtime.layout import Layout
from recsys_dagster.runtime.locks import domain_lock
from recsys_dagster.settings import Settings, dataset_variable
from recsys_dagster.warehouse.database import Warehouse
from recsys_dagster.warehouse.pseudonyms import pseudonym_key, pseudonym_of

if TYPE_CHECKING:  # readers of published lists do without the catalogue of datasets
    from recsys_dagster.ingest.catalogue import Dataset
    from recsys_dagster.ingest.manifest import Manifest
    from recsys_dagster.warehouse.origin import Origin


class DomainRun:
    """A domain under given settings.

    A `with` block locks the domain; whoever writes to the domain does so inside one. The constructor opens nothing: a
    reader can get the dataset and the paths of the domain without the lock.

    Attributes:
        settings: the settings of the deployment.
        domain: the domain; its scale is that of its default dataset. See `dataset` for that of what a run builds, and
            `built_domain` for that of what was built.
        layout: the paths under RECSYS_HOME.
        warehouse: the domain's DuckDB file.
        wait_seconds: how long the `with` block waits while another process or thread has locked the domain.
        on_wait: called once with a message before waiting.
    """

    def __init__(
        self,
        settings: Settings,
        domain: Domain,
        *,
        wait_seconds: float = 0,
        on_wait: Callable[[str], None] | None = None,
    ) -> None:
        self.settings = settings
        self.domain = domain
        self.wait_seconds = wait_seconds
        self.on_wait = on_wait
        self.layout = Layout(settings.home)
        self.warehouse = Warehouse(
            self.layout.warehouse(domain.name), settings.memory_limit, partial(pseudonym_key, settings), settings.engine
        )
        self._locks = contextlib.ExitStack()

    def __enter__(self) -> Self:
        """Lock the domain; raise RecsysError if another process or thread has locked it for too long."""
        self._locks.enter_context(
            domain_lock(self.layout, self.domain.name, wait_seconds=self.wait_seconds, on_wait=self.on_wait)
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._locks.close()

    def pseudonym_of(self, name: str) -> int | None:
        """Return the number that replaces the name of a user; None if nothing was replaced under this RECSYS_HOME."""
        return pseudonym_of(name, self.settings)

    @property
    def dataset(self) -> "Dataset":
        """The dataset that the domain runs on.

        Raises:
            UsageError: the settings name a dataset that is unknown or belongs to another domain.
            DeclarationError: its declaration cannot be used.
        """
        from recsys_dagster.ingest.catalogue import get_dataset

        dataset = get_dataset(self.settings.dataset_of(self.domain), self.settings)
        if dataset.domain != self.domain.name:
            raise UsageError(
                f"{dataset_variable(self.domain.name)}={dataset.id} is a dataset of the domain "
                f"{dataset.domain!r}; `recsys datasets` lists the datasets of each domain"
            )
        return dataset

    @property
    def origin(self) -> "Origin":
        """What the warehouse was built of; RecsysError if it was not built yet."""
        from recsys_dagster.warehouse.origin import read_origin

        return read_origin(self.warehouse)

    @property
    def built_domain(self) -> Domain:
        """The domain with the scale of what the warehouse was built of; RecsysError if it was not built yet."""
        origin = self.origin
        return replace(self.domain, scale=origin.scale, like_threshold=origin.liked_from)

    @property
    def fetched(self) -> "Manifest | None":
        """The manifest of the files that were fetched last, with the feedback that was taken; None if none were."""
        from recsys_dagster.ingest.feedback import with_feedback
        from recsys_dagster.ingest.manifest import read_manifest

        manifest = read_manifest(self.dataset, self.settings)
        return None if manifest is None else with_feedback(manifest, self.settings)

    @property
    def manifest(self) -> "Manifest":
        """The manifest of the files that were fetched last, with the feedback that was taken.

        Raises:
            RecsysError: nothing was fetched yet.
        """
        manifest = self.fetched
        if manifest is None:
            raise RecsysError(f"{self.dataset.id}: not fetched yet; materialise raw/files (or `recsys run`) first")
        return manifest
