"""All that a model may look at when it is fitted."""

from dataclasses import dataclass, replace

from recsys_dagster.data.interactions import Interactions
from recsys_dagster.data.items import ItemFeatures


@dataclass(frozen=True)
class TrainingData:
    """All that a model may look at when it is fitted.

    Attributes:
        train: what it learns from.
        validation: what it may stop early on and choose parameters by; empty when refitting on everything.
        n_users, n_items: sizes of the index spaces; some users and items may have no training pair.
        item_features: features of the items.
        scale: lowest and highest rating.
        like_threshold: a rating at or above it counts as liked.
    """

    train: Interactions
    validation: Interactions
    n_users: int
    n_items: int
    item_features: ItemFeatures
    scale: tuple[float, float]
    like_threshold: float

    @property
    def contents(self) -> list[object]:
        """All of it in arrays and numbers: equal contents have equal hashes."""
        folds = [(fold.users, fold.items, fold.ratings, fold.times) for fold in (self.train, self.validation)]
        return [*folds, self.n_users, self.n_items, vars(self.item_features), self.scale, self.like_threshold]

    def with_all(self, test: Interactions) -> "TrainingData":
        """The same data with every fold in `train` and nothing to validate on: what published lists are made from."""
        train = Interactions.concatenate(self.train, self.validation, test)
        return replace(self, train=train, validation=Interactions.empty())
