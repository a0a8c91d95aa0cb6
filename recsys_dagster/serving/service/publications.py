"""Follow the published file of every domain, and hold the newest snapshot of each."""

import logging
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from recsys_dagster.errors import RecsysError
from recsys_dagster.runtime.layout import Layout
from recsys_dagster.serving.service.snapshot import Snapshot
from recsys_dagster.serving.service.snapshot_files import open_snapshot, publication_name

POLL_SECONDS = 1.0
"""Pause between two looks at the published files."""

_log = logging.getLogger(__name__)


class Publications:
    """The newest readable publication of each domain; a context manager that follows them in a thread.

    A snapshot is replaced by another one in one assignment, so that an answer is made from one publication only. A file
    that cannot be read leaves the last good snapshot.
    """

    def __init__(self, layout: Layout, cache: Path) -> None:
        self._layout = layout
        self._cache = cache
        self._snapshots: dict[str, Snapshot] = {}
        self._names: dict[str, str] = {}
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="follow publications", daemon=True)

    def __enter__(self) -> Self:
        self.refresh()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()

    @property
    def snapshots(self) -> Mapping[str, Snapshot]:
        """The snapshot of each domain that has one, by name."""
        return self._snapshots

    def refresh(self) -> None:
        """Open the publications that are new, and forget those whose file is gone."""
        paths = {path.stem: path for path in sorted(self._layout.published("x").parent.glob("*.duckdb"))}
        for domain in self._snapshots.keys() - paths.keys():
            del self._snapshots[domain]
        for domain, path in paths.items():
            try:
                name = publication_name(path)
                if self._names.get(domain) != name:
                    self._snapshots[domain] = open_snapshot(path, self._cache / domain)
                    self._names[domain] = name
            except (RecsysError, OSError) as error:
                # Once for each state of the file: a damaged one stays damaged.
                _log.warning("%s: %s; the lists read before stay", domain, error)
                self._names[domain] = name

    def _follow(self) -> None:
        while not self._stopped.wait(POLL_SECONDS):
            self.refresh()
