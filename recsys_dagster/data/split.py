"""A split into training and test interactions that was made outside the lineage."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recsys_dagster.data.interactions import Interactions
from recsys_dagster.data.training_data import TrainingData

Ids = NDArray[np.int64] | NDArray[np.object_]
"""Ids as the source writes them: whole numbers, or text."""


@dataclass(frozen=True)
class Split:
    """Interactions to train on and interactions to evaluate on.

    Attributes:
        data: the training data; its validation fold is empty.
        test: the pairs to predict and to find; `users` are positions in `test_user_ids`, `items` are those of `data`.
        fold_in: the history of the test users where these are not in the training data; None where they are.
        test_user_ids: (n_test_users,) ids: the users of `data` by index or, with `fold_in`, the new users.
        item_ids: (n_items,) id of each item index.
    """

    data: TrainingData
    test: Interactions
    fold_in: Interactions | None
    test_user_ids: Ids
    item_ids: Ids
