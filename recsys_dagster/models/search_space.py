"""What a search for better parameters may try of one of them; declared beside the parameters, run elsewhere."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from optuna import Trial


@dataclass(frozen=True)
class Real:
    """Any number from `low` to `high`, with `log` as likely in each doubling."""

    low: float
    high: float
    log: bool = False

    def suggest(self, trial: "Trial", name: str) -> Any:
        """Return the value that the trial is to try."""
        return trial.suggest_float(name, self.low, self.high, log=self.log)


@dataclass(frozen=True)
class Whole:
    """Any whole number from `low` to `high`, with `log` as likely in each doubling."""

    low: int
    high: int
    log: bool = False

    def suggest(self, trial: "Trial", name: str) -> Any:
        """Return the value that the trial is to try."""
        return trial.suggest_int(name, self.low, self.high, log=self.log)


Range = Real | Whole
