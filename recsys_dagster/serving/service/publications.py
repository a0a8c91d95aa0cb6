"""Follow the published file of every domain, and hold the newest snapshot of each."""

import logging
import threading
import time
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Self

from recsys_dagster.errors import RecsysError
from recsys_dagster.runtime.layout import Layout
from recsys_dagster.serving.item_rules import ItemRules
from recsys_dagster.serving.rules import Rules, read_rules, today
from recsys_dagster.serving.service.building import Builder
from recsys_dagster.serving.service.snapshot import Snapshot
from recsys_dagster.serving.service.snapshot_files import publication_name

POLL_SECONDS = 1.0
"""Pause between two looks at the published files."""
BUILDING_POLL_SECONDS = 0.1
"""The same while a publication is being read."""

_log = logging.getLogger(__name__)


class Publications:
    """The newest readable publication of each domain; a context manager that follows them in a thread.

    A snapshot is replaced by another one in one assignment, so that an answer is made from one publication only. A file
    that cannot be read leaves the last good snapshot. So it is with the rules of a domain: they are read again when
    their file or the day changes, and a faulty file leaves those that were read before. Without any, a domain whose
    rules are faulty is not served: what they forbid would be shown.
    """

    def __init__(self, layout: Layout, cache: Path) -> None:
        self._layout = layout
        self._builder = Builder(cache)
        self._snapshots: dict[str, Snapshot] = {}
        self._names: dict[str, str] = {}
        self._rules: dict[str, tuple[Rules, date]] = {}
        self._rules_files: dict[str, tuple[int, int] | None] = {}
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="follow publications", daemon=True)

    def __enter__(self) -> Self:
        while not self.refresh():
            time.sleep(BUILDING_POLL_SECONDS)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()
        self._builder.stop()

    @property
    def snapshots(self) -> Mapping[str, Snapshot]:
        """The snapshot of each domain that has one, by name."""
        return self._snapshots

    def refresh(self) -> bool:
        """Map the publications that are new, and forget those whose file is gone.

        Returns:
            Whether every publication is either mapped or one that could not be read.
        """
        paths = {path.stem: path for path in sorted(self._layout.published("x").parent.glob("*.duckdb"))}
        for domain in self._snapshots.keys() - paths.keys():
            del self._snapshots[domain]
            self._names.pop(domain, None)
        are_settled = [self._refresh(domain, path) for domain, path in paths.items()]
        return all(are_settled)

    def _refresh(self, domain: str, path: Path) -> bool:
        """Map what is published for a domain if it is new; return whether there is nothing to wait for."""
        name = ""
        try:
            is_changed = self._read_rules(domain)
            snapshot, name = self._snapshots.get(domain), publication_name(path)
            is_new = self._names.get(domain) != name or (snapshot is None and is_changed)
            folder = self._builder.find(path, name) if is_new else None
            if folder is not None:
                snapshot, is_changed = Snapshot(folder), True
                self._names[domain] = name
            if snapshot is not None and is_changed and domain in self._rules:
                _apply_rules(snapshot, *self._rules[domain])
                self._snapshots[domain] = snapshot
            return folder is not None or not is_new or self._builder.has_failed(domain)
        except FileNotFoundError:  # another process has removed the folder, as there is a newer publication
            return False
        except (RecsysError, OSError) as error:
            # Once for each state of the file: a damaged one stays damaged.
            _log.warning("%s: %s; the lists read before stay", domain, error)
            self._names[domain] = name
            return True

    def _read_rules(self, domain: str) -> bool:
        """Read the rules of a domain if they may have changed; return whether they are to be applied anew."""
        path = self._layout.rules(domain)
        try:
            status = path.stat()
            state = status.st_mtime_ns, status.st_size
        except OSError:
            state = None
        known = self._rules.get(domain)
        if domain in self._rules_files and self._rules_files[domain] == state:
            if known is None or known[1] == today():
                return False
            self._rules[domain] = known[0], today()
            return True
        self._rules_files[domain] = state
        try:
            self._rules[domain] = read_rules(path), today()
        except RecsysError as error:
            _log.warning("%s: %s; %s", domain, error, "the rules read before stay" if known else "it is not served")
            return False
        return True

    def _follow(self) -> None:
        pause = POLL_SECONDS
        while not self._stopped.wait(pause):
            pause = POLL_SECONDS if self.refresh() else min(POLL_SECONDS, BUILDING_POLL_SECONDS)


def _apply_rules(snapshot: Snapshot, rules: Rules, day: date) -> None:
    """Let a snapshot answer by the rules; one assignment, so that no answer mixes them."""
    if rules:
        snapshot.rules = ItemRules.of(rules, map(snapshot.item, range(len(snapshot.items))), day)
    else:
        snapshot.rules = ItemRules.none(snapshot.rules.genres)
