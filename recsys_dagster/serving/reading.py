"""Read the tables of a domain without disturbing a run of it."""

import contextlib
import copy
import shutil
from collections.abc import Iterator
from dataclasses import replace

from recsys_dagster.errors import RecsysError
from recsys_dagster.runtime.locks import domain_lock
from recsys_dagster.runtime.storage import temporary_folder
from recsys_dagster.warehouse.domain_run import DomainRun

ATTEMPTS = 5
"""Copies that are begun before giving up, because the file changed meanwhile."""


@contextlib.contextmanager
def readable(run: DomainRun) -> Iterator[DomainRun]:
    """Give the domain with a warehouse that can be opened.

    While nothing else holds the domain, that is its own warehouse, held for as long as the block takes. While a run
    holds it, it is a temporary copy of what the last step of the run that wrote tables has left.

    Raises:
        RecsysError: the domain has no tables yet, or they change all the time.
    """
    path = run.warehouse.path
    if not path.exists():
        raise RecsysError(
            f"{path}: no tables of {run.domain.name} yet; run `recsys run --domain {run.domain.name}` first"
        )
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(domain_lock(run.layout, run.domain.name))
        except RecsysError:
            yield stack.enter_context(_copied(run))
        else:
            yield run


@contextlib.contextmanager
def _copied(run: DomainRun) -> Iterator[DomainRun]:
    """Give the domain with a copy of its warehouse.

    DuckDB changes the file only when it ends a checkpoint, so that a file that did not change while it was copied is
    complete. What is in its log is of a step that goes on.
    """
    path = run.warehouse.path
    with temporary_folder(path.parent, path.name) as folder:
        for _ in range(ATTEMPTS):
            before = path.stat()
            copied = shutil.copyfile(path, folder / path.name)
            after = path.stat()
            if (before.st_mtime_ns, before.st_size, before.st_ino) == (after.st_mtime_ns, after.st_size, after.st_ino):
                other = copy.copy(run)
                other.warehouse = replace(run.warehouse, path=copied)
                yield other
                return
    raise RecsysError(f"{path}: a run is writing to it all the time; try again in a moment")
