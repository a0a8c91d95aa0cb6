"""Draw the users of a fold that models are evaluated on, where there are more than the intervals need."""

import numpy as np

from recsys_dagster.data.interactions import Interactions


def draw_users(fold: Interactions, most: int, seed: int) -> Interactions:
    """Return the interactions of users drawn without replacement; the whole fold where it has no more than `most`.

    The draw depends on the fold and the seed alone, so that all models of a run are evaluated on the same users and
    can be compared in pairs.

    Args:
        fold: interactions to evaluate on.
        most: largest number of users.
        seed: of the draw.
    """
    users = np.unique(fold.users)
    if len(users) <= most:
        return fold
    drawn = np.zeros(int(users[-1]) + 1, np.bool_)
    drawn[np.random.default_rng(seed).choice(users, most, replace=False)] = True
    return fold.where(drawn[fold.users])
