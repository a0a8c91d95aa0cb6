"""Apply the rules of a domain to the items of an index space, and make lists by them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import Any, Self

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from recsys_dagster.errors import UsageError
from recsys_dagster.evaluation.metrics.beyond_accuracy import genre_shares
from recsys_dagster.evaluation.metrics.inputs import shares_of_items
from recsys_dagster.models.base import TopN
from recsys_dagster.serving.balance import Capped, Take, fill_lists
from recsys_dagster.serving.lookup import PublishedFile
from recsys_dagster.serving.rules import Balance, Rules, capped_groups, today


@dataclass(frozen=True, eq=False)
class ItemRules:
    """The rules, for items in the order of their indices.

    Attributes:
        allowed: (n_items,) which items may be recommended.
        genres: (n_items, n_genres) CSR of ones.
        caps: groups of items of which a list may hold a few only.
        balance: how much diversity and calibration weigh unless something else is asked for.
    """

    allowed: NDArray[np.bool_]
    genres: sp.csr_array
    caps: Capped
    balance: Balance

    @classmethod
    def of(cls, rules: Rules, items: Iterable[Mapping[str, Any]], day: date) -> Self:
        """Apply the rules.

        Args:
            rules: of the domain.
            items: `item_id` as the source writes it, `genres`, `creators` and `is_adult` of each item, by index.
            day: on which items would be recommended.
        """
        allowed: list[bool] = []
        genres, groups = _Sets(), _Sets()
        limits: dict[str, int] = {}
        for item in items:
            allowed.append(rules.forbids(item, day) is None)
            genres.add(item["genres"] or ())
            capped = capped_groups(rules.caps, item) if rules.caps else []
            limits |= {group.name: group.cap for group in capped}
            groups.add([group.name for group in capped])
        caps = Capped(groups.matrix(), np.array([limits[name] for name in groups.names], np.int64))
        return cls(np.array(allowed, np.bool_), genres.matrix(), caps, rules.balance)

    @classmethod
    def none(cls, genres: sp.csr_array) -> Self:
        """Return the rules that forbid nothing; `genres` is (n_items, n_genres)."""
        no_groups = sp.csr_array((genres.shape[0], 0), dtype=np.float32)
        return cls(np.ones(genres.shape[0], np.bool_), genres, Capped(no_groups, np.empty(0, np.int64)), Balance())

    @cached_property
    def _genre_shares(self) -> sp.csr_array:
        """p(g | item), which the requests to a service share."""
        return shares_of_items(self.genres)

    def require_genres(self) -> None:
        """Raise UsageError if no item has genres, by which lists could be balanced."""
        if not self.genres.nnz:
            raise UsageError("no item of this domain has genres, so that lists cannot be made diverse or calibrated")

    def chooses(self, balance: Balance | None = None) -> bool:
        """Return whether anything but the score decides which allowed items a list holds."""
        return bool(self.balance if balance is None else balance) or len(self.caps.limits) > 0

    def lists(
        self,
        take: Take,
        n_lists: int,
        n: int,
        histories: sp.csr_array | None = None,
        balance: Balance | None = None,
    ) -> TopN:
        """Make lists of length n; only where fewer candidates keep within the caps are they shorter.

        Args:
            take: gives candidates, of the allowed items only.
            n_lists: number of lists.
            n: length of the lists.
            histories: (n_lists, n_items) CSR of ones, what calibration compares lists with; None: nothing.
            balance: None: as the rules say.

        Raises:
            UsageError: the balance asks for genres, and no item has any.
        """
        if balance:
            self.require_genres()
        if not self.chooses(balance):
            return take(np.arange(n_lists), n)
        balance = self.balance if balance is None else balance
        is_compared = histories is not None and balance.calibration > 0
        tastes = genre_shares(histories, self._genre_shares) if is_compared else None
        return fill_lists(take, n_lists, n, self.genres, balance, self.caps, tastes)


def rules_of_published(published: PublishedFile, rules: Rules, balance: Balance | None) -> ItemRules | None:
    """Apply the rules of today to the items of a published file, in the order of the indices of its run's models.

    None if there is no rule and no balance is asked for, so that lists are by score alone.
    """
    if not rules and not balance:
        return None
    return ItemRules.of(rules, published.indexed_items(), today())


class _Sets:
    """Names that each item has, item by item."""

    def __init__(self) -> None:
        self.names: dict[str, int] = {}
        self._rows: list[int] = []
        self._columns: list[int] = []
        self._items = 0

    def add(self, names: Iterable[str]) -> None:
        """Add the next item."""
        for name in dict.fromkeys(names):
            self._rows.append(self._items)
            self._columns.append(self.names.setdefault(name, len(self.names)))
        self._items += 1

    def matrix(self) -> sp.csr_array:
        """Return a (n_items, n_names) CSR of ones."""
        ones = np.ones(len(self._rows), np.float32)
        return sp.csr_array((ones, (self._rows, self._columns)), shape=(self._items, len(self.names)))
