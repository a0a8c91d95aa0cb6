"""Store the best parameters that `recsys tune` found for a model on a domain.

Remove the file, or choose the preset `default` in the Launchpad, to use the default parameters again.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from recsys_dagster.errors import RecsysError
from recsys_dagster.models.base import Model
from recsys_dagster.models.params import Params
from recsys_dagster.runtime.layout import Layout
from recsys_dagster.runtime.storage import write_json


@dataclass(frozen=True)
class Tuned:
    """The best result of a search so far.

    Attributes:
        model, domain, dataset, data_version: what was tuned, on which data.
        date: when this was written, in UTC.
        metric: `rmse` for a model that predicts ratings, else `ndcg@100`; on the validation fold.
        value: metric of the best parameters.
        default_value: metric of the model's default parameters; None if they failed.
        params: all of the best parameters.
        trials, pruned: number of trials, and of those that were stopped early.
    """

    model: str
    domain: str
    dataset: str
    data_version: str
    date: str
    metric: str
    value: float
    default_value: float | None
    params: dict[str, Any]
    trials: int
    pruned: int

    def __str__(self) -> str:
        before = "" if self.default_value is None else f", defaults {self.default_value:.4f}"
        return f"tuned on {self.date[:10]}: {self.metric} {self.value:.4f}{before} on validation"


def write_tuned(layout: Layout, tuned: Tuned) -> None:
    """Store the result of a search, replacing the previous one."""
    write_json(tuned_path(layout, tuned.domain, tuned.model), asdict(tuned))


def read_tuned(layout: Layout, domain: str, model_class: type[Model], dataset: str) -> tuple[Params, Tuned] | None:
    """Return the best parameters found for a model, and the result of the search; None if there was no search.

    Raises:
        RecsysError: the file is damaged, has other parameters than the model now has, or is of another dataset than
            the domain now uses. The message has the cure.
    """
    path = tuned_path(layout, domain, model_class.name)
    cure = f"tune {model_class.name} again, or remove the file"
    try:
        tuned = Tuned(**json.loads(path.read_text(encoding="utf-8")))
        params = model_class.params_type(**tuned.params)
    except FileNotFoundError:
        return None
    except ValidationError as error:
        fault = error.errors()[0]
        place = ".".join(map(str, fault["loc"])) or "all of it"
        raise RecsysError(
            f"{path}: not the parameters of today's {model_class.name} ({place}: {fault['msg']}); {cure}"
        ) from None
    except (ValueError, TypeError, AttributeError):
        raise RecsysError(f"{path}: damaged; {cure}") from None
    if tuned.dataset != dataset:
        raise RecsysError(f"{path}: tuned on {tuned.dataset}, and the domain now uses {dataset}; {cure}")
    return params, tuned


def tuned_path(layout: Layout, domain: str, model: str) -> Path:
    """Return the path of the result of a search."""
    return layout.tuned(domain, model)
