"""Keep what users did with their lists: a spool of JSON lines that the service appends to.

`RECSYS_HOME/feedback/<domain>/` has the files `events-….jsonl`, one line for each event that a client reported, and
`lists-….jsonl`, one line for each list that was served. A line is whole or, if a process was killed while writing it,
ignored: the client got no answer then.
"""

import json
import os
import secrets
import threading
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from recsys_dagster.runtime.layout import Layout


class FeedbackSpool:
    """The spool of one process; each process appends to files of its own."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._lock = threading.Lock()
        # A process may have the id of one that was killed in the middle of a line.
        self._name = secrets.token_hex(4)

    def add_event(self, domain: str, event: Mapping[str, Any]) -> None:
        """Store an event; it is on the disk when this returns.

        Raises:
            OSError: the file cannot be written; nothing was stored.
        """
        self._append(domain, "events", event, sync=True)

    def add_list(self, domain: str, served: Mapping[str, Any]) -> None:
        """Store which list was served."""
        self._append(domain, "lists", served, sync=False)

    def _append(self, domain: str, kind: str, record: Mapping[str, Any], *, sync: bool) -> None:
        folder = self._layout.feedback(domain)
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{kind}-{datetime.now(UTC):%Y%m%d}-{self._name}.jsonl"
        line = json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
        with self._lock:
            descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o600)
            try:
                if os.write(descriptor, line) != len(line):
                    raise OSError(f"{path}: a line was written in part")
                if sync:
                    os.fdatasync(descriptor)
            finally:
                os.close(descriptor)


@dataclass(frozen=True)
class ClickThrough:
    """How often items at one place of the lists of one model were clicked.

    Attributes:
        model: name of the model.
        position: place in the list, from 1.
        shown, clicked: number of items.
        low, high: 95 % interval of the share (Wilson).
    """

    model: str
    position: int
    shown: int
    clicked: int
    low: float
    high: float

    @property
    def share(self) -> float:
        """The share of the shown items that were clicked."""
        return self.clicked / self.shown


def click_through(layout: Layout, domain: str, clicks: Collection[str]) -> list[ClickThrough]:
    """Return the click-through by model and position; several clicks on an item of a list count once.

    Args:
        layout: the paths under RECSYS_HOME.
        domain: name of the domain.
        clicks: events that count as a click.
    """
    clicked = {
        (event["list_id"], str(event["item_id"]))
        for event in _records(layout, domain, "events")
        if event.get("list_id") and event["event"] in clicks
    }
    shown: dict[tuple[str, int], list[int]] = defaultdict(lambda: [0, 0])
    for served in _records(layout, domain, "lists"):
        for position, item in enumerate(served["items"], 1):
            counts = shown[served["model"], position]
            counts[0] += 1
            counts[1] += (served["list_id"], str(item)) in clicked
    from scipy.stats import binomtest  # takes a second to import, which only this needs

    result = []
    for (model, position), (n_shown, n_clicked) in sorted(shown.items()):
        interval = binomtest(n_clicked, n_shown).proportion_ci(method="wilson")
        result.append(ClickThrough(model, position, n_shown, n_clicked, interval.low, interval.high))
    return result


def _records(layout: Layout, domain: str, kind: str) -> Iterator[dict[str, Any]]:
    """Give the whole lines of all files of a kind."""
    for path in sorted(layout.feedback(domain).glob(f"{kind}-*.jsonl")):
        with path.open("rb") as file:
            for line in file:
                if line.endswith(b"\n"):
                    yield json.loads(line)
