"""Estimate the time and memory of a model, and skip a model whose estimate exceeds the budget.

Each model has its own `estimate`, next to its code. The constants in them were measured in 2026 on two cores of an AMD
EPYC with AVX2. On another machine they tell minutes from hours, and no more. A model that stops early is assumed to
train for half of its epochs.
"""

from dataclasses import dataclass

import numpy as np

from recsys_dagster.data.training_data import TrainingData
from recsys_dagster.models.attempt import SkippedError
from recsys_dagster.runtime.memory import available_bytes
from recsys_dagster.runtime.units import GIB

FLOPS = 4e10
"""Floating-point operations per second in products of small matrices, forwards and backwards, on two cores."""
SECONDS_PER_SCORE = 5e-9
"""Time to mask a score and to find the highest, in addition to computing it."""
FOLDS = 2
"""Users are ranked for on the validation and on the test fold."""


@dataclass(frozen=True)
class Size:
    """The size of the data.

    Attributes:
        users, items: number of those with a training pair, at least 1.
        pairs: number of pairs of the training fold.
        most_evaluated: largest number of users of a fold that the evaluation ranks for; None: no limit.
    """

    users: int
    items: int
    pairs: int
    most_evaluated: int | None = None

    @classmethod
    def of(cls, data: TrainingData, most_evaluated: int | None = None) -> "Size":
        """Return the size of the training fold."""
        users, items = (np.count_nonzero(np.bincount(ids)) for ids in (data.train.users, data.train.items))
        return cls(max(1, int(users)), max(1, int(items)), len(data.train), most_evaluated)

    @property
    def evaluated_users(self) -> int:
        """Number of users of a fold that the evaluation ranks for, at most."""
        return self.users if self.most_evaluated is None else min(self.users, self.most_evaluated)


@dataclass(frozen=True)
class Estimate:
    """The expected time and memory of a model.

    Attributes:
        fit: wall time of the fit in seconds.
        ranking: wall time in seconds of ranking for the evaluated users of both folds.
        bytes: largest memory in addition to the training data.
    """

    fit: float
    ranking: float
    bytes: float

    @classmethod
    def of_work(cls, size: Size, *, fit: float = 0, score: float = 0, memory: float = 0) -> "Estimate":
        """Return the estimate of a model, including what all models do and store.

        This is the matrix of the pairs, and a second to read, to write and to resample.

        Args:
            size: size of the data.
            fit: seconds of the fit.
            score: seconds to compute one score.
            memory: bytes of the fit.
        """
        ranking = 1 + FOLDS * size.evaluated_users * size.items * (SECONDS_PER_SCORE + score)
        return cls(1e-6 * size.pairs + fit, ranking, 1e8 + 50 * size.pairs + memory)

    @property
    def seconds(self) -> float:
        """Wall time of fit and evaluation."""
        return self.fit + self.ranking

    def __str__(self) -> str:
        return f"{rough_time(self.seconds)} and {self.bytes / GIB:.1f} GiB"


def rough_time(seconds: float) -> str:
    """Return an estimated time in its unit.

    >>> rough_time(119), rough_time(120), rough_time(9000)
    ('119 s', '2 min', '2 h')
    """
    minutes = seconds / 60
    if minutes < 2:
        return f"{seconds:.0f} s"
    return f"{minutes:.0f} min" if minutes < 120 else f"{minutes / 60:.0f} h"


@dataclass(frozen=True)
class Budget:
    """The most that a run may spend on each model, unless the models are named.

    Attributes:
        seconds: wall time of a fit and an evaluation.
        bytes: memory; None: what is free on the machine.
    """

    seconds: float
    bytes: int | None = None

    def require(self, estimate: Estimate) -> None:
        """Raise SkippedError, whose message ends with the cure, if the estimate exceeds the budget."""
        free = available_bytes() if self.bytes is None else self.bytes
        limits = []
        if estimate.seconds > self.seconds:
            limits.append(f"{self.seconds / 60:.3g} min (RECSYS_BUDGET_SECONDS)")
        if free is not None and estimate.bytes > free:
            limits.append(f"{free / GIB:.1f} GiB ({'free' if self.bytes is None else 'RECSYS_BUDGET_MEMORY'})")
        if limits:
            raise SkippedError(
                f"would take about {estimate}, and the budget of a model is {' and '.join(limits)}; "
                "name it in --models or RECSYS_MODELS to fit it all the same"
            )
