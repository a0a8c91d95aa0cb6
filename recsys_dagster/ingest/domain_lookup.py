"""Find domains: the built-in ones, and those that users declare.

Nothing is read or imported for a built-in domain, because looking up published lists takes hardly longer than importing
the catalogue.
"""

from recsys_dagster.domains import (
    BUILT_IN_DOMAINS,
    Domain,
    declared_domain,
    declared_files,
    domain_names,
    is_path,
    public_domains,
    unknown_domain,
)
from recsys_dagster.errors import UsageError
from recsys_dagster.runtime.layout import Layout
from recsys_dagster.settings import Settings


def get_domain(name: str, settings: Settings) -> Domain:
    """Return the domain with the given name: built in, declared under RECSYS_HOME, or that of a public dataset.

    The scale of a declared domain is that of its first dataset by name, which is its default; None if the declaration
    cannot be used, which `get_dataset` then says.

    Raises:
        UsageError: there is no such domain; the message lists the domains.
    """
    if name in BUILT_IN_DOMAINS:
        return BUILT_IN_DOMAINS[name]
    from recsys_dagster.ingest.catalogue import CATALOGUE, domain_of, read_dataset
    from recsys_dagster.ingest.declaration import DeclarationError
    from recsys_dagster.ingest.public_datasets import public_declarations

    folder = Layout(settings.home).datasets()
    for path in declared_files(folder):
        if declared_domain(path) == name:
            try:
                return domain_of(read_dataset(path))
            except DeclarationError:
                return Domain(name, None, None, default_dataset=path.stem)
    for declaration in public_declarations().values():
        if declaration.domain == name:
            return domain_of(CATALOGUE[declaration.id])
    if is_path(name):
        raise UsageError(f"{name!r} is a path, where a domain is expected; `recsys import` makes a domain of files")
    raise unknown_domain(name, domain_names(folder, public_domains()))


def known_domains(settings: Settings) -> list[str]:
    """Return the names of all domains; that of a public dataset is one where it is chosen, or was published."""
    layout = Layout(settings.home)
    published = (name for name in public_domains() if layout.published(name).exists())
    return domain_names(layout.datasets(), [*settings.datasets, *published])
