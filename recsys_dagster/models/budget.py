"""What a model is expected to cost at a size of the data, and whether a run that names no models can spend that.

Each model has an `estimate` of its own beside its code. The figures in them were measured in 2026 on two cores of an
AMD EPYC with AVX2: they are to tell minutes from hours on another machine, not to be right about minutes. What an early
stop saves is counted at half of the epochs.
"""

from dataclasses import dataclass

import numpy as np

from recsys_dagster.data.training_data import TrainingData
from recsys_dagster.models.attempt import SkippedError
from recsys_dagster.runtime.memory import available_bytes
from recsys_dagster.runtime.units import GIB

FLOPS = 4e10
"""Floating-point operations a second in products of small matrices, forwards and backwards, on two cores."""
SECONDS_A_SCORE = 5e-9
"""To mask one score and to find the highest among them, beside what it takes to work it out."""
FOLDS = 2
"""The users are ranked for on the validation and on the test fold."""


@dataclass(frozen=True)
class Size:
    """How large the data are.

    Attributes:
        users, items: those with a training pair, 1 at least.
        pairs: of the training fold.
    """

    users: int
    items: int
    pairs: int

    @classmethod
    def of(cls, data: TrainingData) -> "Size":
        """Return the size of the training fold."""
        users, items = (np.count_nonzero(np.bincount(ids)) for ids in (data.train.users, data.train.items))
        return cls(max(1, int(users)), max(1, int(items)), len(data.train))


@dataclass(frozen=True)
class Estimate:
    """What a model is expected to cost.

    Attributes:
        fit, ranking: wall time in seconds, of the fit and of ranking for everybody in the evaluation.
        bytes: the largest memory beside the training data.
    """

    fit: float
    ranking: float
    bytes: float

    @classmethod
    def of_work(cls, size: Size, *, fit: float = 0, score: float = 0, memory: float = 0) -> "Estimate":
        """Return the estimate of a fit in `fit` seconds in `memory` bytes, and `score` seconds to work a score out.

        What all models do and hold is added: the matrix of the pairs, and a second to read, to write and to resample.
        """
        ranking = 1 + FOLDS * size.users * size.items * (SECONDS_A_SCORE + score)
        return cls(1e-6 * size.pairs + fit, ranking, 1e8 + 50 * size.pairs + memory)

    @property
    def seconds(self) -> float:
        """Wall time of both."""
        return self.fit + self.ranking

    def __str__(self) -> str:
        minutes = self.seconds / 60
        long = f"{minutes:.0f} min" if minutes < 120 else f"{minutes / 60:.0f} h"
        return f"{long if minutes >= 2 else f'{self.seconds:.0f} s'} and {self.bytes / GIB:.1f} GiB"


@dataclass(frozen=True)
class Budget:
    """What a run that names no models may spend on each.

    Attributes:
        seconds: wall time of a fit and an evaluation.
        bytes: memory; None: what the machine has left.
    """

    seconds: float
    bytes: int | None = None

    def require(self, estimate: Estimate) -> None:
        """Raise SkippedError, which ends in the cure, if the estimate is above the budget."""
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
