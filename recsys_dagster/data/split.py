"""A split into training part and test that was made elsewhere."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recsys_dagster.data.interactions import Interactions
from recsys_dagster.data.training_data import TrainingData


@dataclass(frozen=True)
class Split:
    """Pairs to learn from and pairs to be judged by, divided by somebody else.

    Attributes:
        data: what a model may look at; its validation fold is empty.
        test: the pairs to predict and to find; `users` are positions in `people`, `items` are those of `data`.
        fold_in: all that is known of the people of the test, where these are new to the model; None where they are the
            users of `data`.
        people: (n_people,) int64 ids: the users of `data` by index or, with `fold_in`, the new ones.
        item_ids: (n_items,) int64 ids, by index.
    """

    data: TrainingData
    test: Interactions
    fold_in: Interactions | None
    people: NDArray[np.int64]
    item_ids: NDArray[np.int64]
