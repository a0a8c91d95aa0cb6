"""Declare the range in which a hyperparameter is searched; `experiments.tuning` runs the search."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from optuna import Trial


@dataclass(frozen=True)
class Real:
    """Any real number from `low` to `high`; with `log` the logarithm is drawn uniformly."""

    low: float
    high: float
    log: bool = False

    def suggest(self, trial: "Trial", name: str) -> float:
        """Return the value that the trial tries."""
        return trial.suggest_float(name, self.low, self.high, log=self.log)


@dataclass(frozen=True)
class Whole:
    """Any whole number from `low` to `high`; with `log` the logarithm is drawn uniformly."""

    low: int
    high: int
    log: bool = False

    def suggest(self, trial: "Trial", name: str) -> int:
        """Return the value that the trial tries."""
        return trial.suggest_int(name, self.low, self.high, log=self.log)


Range = Real | Whole
