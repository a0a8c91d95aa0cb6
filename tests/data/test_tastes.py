from dataclasses import replace

import numpy as np
import scipy.sparse as sp
from numpy.testing import assert_array_equal
from small_world import UNRATED, pairs_of, world_of

from recsys_dagster.data.tastes import mean_genre_ratings

GENRES = sp.csr_array(np.float32([[1, 0, 0], [1, 1, 0], [0, 0, 1]]))


def test_the_taste_for_a_genre_is_the_mean_rating_of_its_items() -> None:
    ratings = pairs_of([[8, 5, 0], [0, UNRATED, 3.5]])
    tastes = mean_genre_ratings(ratings, GENRES, n_users=3)
    assert tastes.dtype == np.float32
    assert_array_equal(tastes, [[6.5, 5, np.nan], [np.nan, np.nan, 3.5], [np.nan] * 3])


def test_data_with_another_training_part_never_have_the_tastes_of_the_first() -> None:
    data = world_of([[8, 5, 0], [0, 4, 2]], genres=GENRES.toarray().astype(int).tolist())
    read = data.with_user_genre_taste(np.full((2, 3), 7, np.float32))
    assert_array_equal(read.user_genre_taste, np.full((2, 3), 7))
    assert_array_equal(data.user_genre_taste, [[6.5, 5, np.nan], [4, 4, 2]])
    first = replace(read, train=read.train.where(read.train.users == 0))
    assert_array_equal(first.user_genre_taste, [[6.5, 5, np.nan], [np.nan] * 3])
    everything = read.with_all(pairs_of([[0, 0, 9], [0, 0, 0]]))
    assert_array_equal(everything.user_genre_taste, [[6.5, 5, 9], [4, 4, 2]])
