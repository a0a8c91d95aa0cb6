"""What `recsys tune` found best for a model on a domain, and whether a retrain can go by it.

    models/<domain>/<model>/tuned.json

Remove the file, or choose the preset `default` in the Launchpad, to go back to the defaults.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from recsys_dagster.errors import RecsysError
from recsys_dagster.models.base import Model, Params
from recsys_dagster.runtime.layout import Layout
from recsys_dagster.runtime.storage import write_json

TUNED = "tuned.json"


@dataclass(frozen=True)
class Tuned:
    """The best that a search has found so far.

    Attributes:
        model, domain, dataset, data_version: what was tuned, on which data.
        date: when this was written, UTC.
        metric: `rmse` for a model that predicts ratings, else `ndcg@100`; on the validation fold.
        value: of the best parameters.
        default_value: of the model's default parameters; None if these fail.
        params: the best, all of them.
        trials, pruned: how many were tried, and how many of those given up on a part of the users.
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
    """Keep the result of a search, in place of the one before."""
    write_json(tuned_path(layout, tuned.domain, tuned.model), asdict(tuned))


def read_tuned(layout: Layout, domain: str, kind: type[Model], dataset: str) -> tuple[Params, Tuned] | None:
    """Return the parameters that a search found best for the model, and the search's result; None if there was none.

    Raises:
        RecsysError: the file is damaged, was written for other parameters than the model now has, or tells of another
            dataset than the domain runs on. The message has the cure.
    """
    path = tuned_path(layout, domain, kind.name)
    cure = f"tune {kind.name} again, or remove the file"
    try:
        tuned = Tuned(**json.loads(path.read_text(encoding="utf-8")))
        params = kind.params_type(**tuned.params)
    except FileNotFoundError:
        return None
    except ValidationError as error:
        fault = error.errors()[0]
        place = ".".join(map(str, fault["loc"]))
        raise RecsysError(
            f"{path}: not the parameters of today's {kind.name} ({place}: {fault['msg']}); {cure}"
        ) from None
    except (ValueError, TypeError):
        raise RecsysError(f"{path}: damaged; {cure}") from None
    if tuned.dataset != dataset:
        raise RecsysError(f"{path}: tuned on {tuned.dataset}, and the domain now runs on {dataset}; {cure}")
    return params, tuned


def tuned_path(layout: Layout, domain: str, model: str) -> Path:
    """Return where the result of a search is."""
    return layout.models(domain) / model / TUNED
