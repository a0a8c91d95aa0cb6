"""What the base class of all models does by itself."""

import numpy as np
import pytest

from recsys_dagster.data.training_data import TrainingData
from recsys_dagster.errors import RecsysError
from recsys_dagster.models.registry import get_model_class


def test_predictions_that_are_not_numbers_are_refused(data: TrainingData, monkeypatch: pytest.MonkeyPatch) -> None:
    model = get_model_class("user_item_bias")().fit(data)
    monkeypatch.setattr(model, "_predict", lambda users, _items: np.full(len(users), np.nan, np.float32))
    with pytest.raises(RecsysError, match="user_item_bias: predictions are not numbers"):
        model.predict(np.arange(3, dtype=np.int32), np.arange(3, dtype=np.int32))
