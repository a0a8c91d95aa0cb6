"""Choose the dataset of a domain: the published one, unless the user switches to another on purpose."""

from dataclasses import dataclass

from recsys_dagster.domains import Domain
from recsys_dagster.errors import RecsysError
from recsys_dagster.ingest.domain_lookup import get_domain
from recsys_dagster.runtime.layout import Layout
from recsys_dagster.serving.lookup import open_without_lock
from recsys_dagster.settings import Settings, dataset_variable
from recsys_dagster.warehouse.domain_run import DomainRun


class DatasetSwitchError(RecsysError):
    """A run would replace lists of another or an unknown dataset, and the user has not allowed it.

    Attributes:
        domain: name of the domain.
    """

    def __init__(self, domain: str, message: str) -> None:
        super().__init__(message)
        self.domain = domain


@dataclass(frozen=True)
class DatasetChoice:
    """The dataset that a run of a domain uses.

    Attributes:
        domain: name of the domain.
        dataset: id of the dataset.
        published: id of the dataset of the published lists; None if nothing is published.
        is_configured: whether the settings name a dataset.
    """

    domain: str
    dataset: str
    published: str | None
    is_configured: bool

    @property
    def is_switch(self) -> bool:
        """Whether the published lists are of another dataset."""
        return self.published is not None and self.published != self.dataset

    def __str__(self) -> str:
        variable = dataset_variable(self.domain)
        if self.is_switch:
            return f"{self.domain}: dataset {self.dataset}, which replaces {self.published}"
        if self.is_configured:
            return f"{self.domain}: dataset {self.dataset}, named by {variable}"
        if self.published is not None:
            return f"{self.domain}: dataset {self.dataset}, which is published ({variable} is not set)"
        return f"{self.domain}: dataset {self.dataset}, the default ({variable} is not set, nothing is published)"


def choose_dataset(settings: Settings, domain: Domain, *, switch: bool = False) -> DatasetChoice:
    """Return the dataset that a run of the domain uses.

    That is the dataset of the published lists, so that a variable that is not set never replaces them. If nothing is
    published, it is the dataset that the settings name, or the domain's default.

    Args:
        settings: may name a dataset.
        domain: the domain.
        switch: whether the lists may be replaced by those of another dataset.

    Raises:
        DatasetSwitchError: `switch` is not set, and the settings name another dataset than the published one, or the
            published lists cannot be read and nothing else says which dataset they are of.
    """
    configured = settings.datasets.get(domain.name)
    try:
        published = published_dataset(settings, domain)
    except RecsysError as error:
        if not switch:
            raise DatasetSwitchError(
                domain.name,
                f"{domain.name}: {Layout(settings.home).published(domain.name)} cannot be read, and nothing else says "
                f"which dataset its lists are of; put a backup there, or replace the lists with "
                f"`recsys run --domain {domain.name} --switch-dataset`",
            ) from error
        published = None
    chosen = configured or published or domain.default_dataset
    choice = DatasetChoice(domain.name, chosen, published, configured is not None)
    if choice.is_switch and not switch:
        variable = f"{dataset_variable(domain.name)}={chosen}"
        raise DatasetSwitchError(
            domain.name,
            f"{domain.name}: the published lists are of {published}, but the settings say {variable}; unset that, or "
            f"replace the lists with `recsys run --domain {domain.name} --switch-dataset`",
        )
    return choice


def with_chosen_dataset(settings: Settings, domain: str, *, switch: bool = False) -> Settings:
    """Return the settings with the dataset that a run of the domain uses; raises as `choose_dataset`."""
    choice = choose_dataset(settings, get_domain(domain, settings), switch=switch)
    return settings.with_datasets({domain: choice.dataset})


def published_dataset(settings: Settings, domain: Domain) -> str | None:
    """Return the id of the dataset of the published lists; None if nothing is published.

    If the published file is damaged, the warehouse says what it was built of.

    Raises:
        RecsysError: neither can be read.
    """
    path = Layout(settings.home).published(domain.name)
    if not path.exists():
        return None
    try:
        with open_without_lock(path) as published:
            return published.provenance().dataset
    except RecsysError:
        run = DomainRun(settings, domain)
        if not run.warehouse.path.exists():
            raise
        with run:
            return run.origin.dataset_id
