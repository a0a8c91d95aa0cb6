"""Fits that several steps of a run share."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from recsys_dagster.data.training_data import TrainingData
from recsys_dagster.models.ensembles.rating_blend import RatingBlend, RatingBlendParams
from recsys_dagster.models.factorization.als import Als, AlsParams
from recsys_dagster.models.reuse import fit_or_load, remember
from recsys_dagster.runtime.resource_usage import ResourceUsage, track_resources

AN_HOUR = ResourceUsage(wall_seconds=3600)


@pytest.fixture
def stored(data: TrainingData, tmp_path: Path) -> Als:
    als = Als().fit(data)
    als.save(tmp_path)
    remember(als, data, tmp_path, AN_HOUR)
    return als


def test_an_equal_model_is_loaded_and_charged_what_its_fit_took(stored: Als, data: TrainingData) -> None:
    with track_resources() as usage:
        model = fit_or_load(Als(), data)
    pairs = data.validation.users, data.validation.items
    np.testing.assert_array_equal(model.predict(*pairs), stored.predict(*pairs))
    assert usage.wall_seconds > 3600


@pytest.mark.usefixtures("stored")
def test_other_parameters_seeds_and_data_are_fitted(data: TrainingData) -> None:
    other_data = replace(data, train=data.train.where(np.arange(len(data.train)) > 0))
    with track_resources() as usage:
        fit_or_load(Als(AlsParams(rank=3)), data)
        fit_or_load(Als(seed=1), data)
        fit_or_load(Als(), other_data)
    assert usage.wall_seconds < 3600


@pytest.mark.usefixtures("stored")
def test_a_model_that_was_removed_is_fitted(data: TrainingData, tmp_path: Path) -> None:
    shutil.rmtree(tmp_path)
    with track_resources() as usage:
        fit_or_load(Als(), data)
    assert usage.wall_seconds < 3600


def test_a_blend_whose_members_were_fitted_before_is_the_same_and_charged_for_them(
    data: TrainingData, tmp_path: Path
) -> None:
    params = RatingBlendParams(members=["user_item_bias", "als"])
    peer = RatingBlend(params, seed=7).fit(data)
    als = Als(seed=7).fit(data)
    als.save(tmp_path)
    remember(als, data, tmp_path, AN_HOUR)
    with track_resources() as usage:
        blend = RatingBlend(params, seed=7).fit(data)
    np.testing.assert_array_equal(blend.weights_, peer.weights_)
    assert blend.trees_ == peer.trees_
    assert usage.wall_seconds > 3600
