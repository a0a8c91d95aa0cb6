"""Search parameters that suit several domains at once, as the defaults of a model should."""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from recsys_dagster.errors import RecsysError
from recsys_dagster.experiments.tuning import tune, value_of
from recsys_dagster.ingest.domain_lookup import get_domain
from recsys_dagster.model_store.tuned import Tuned
from recsys_dagster.models.registry import get_model_class
from recsys_dagster.runtime.progress import announce
from recsys_dagster.settings import Settings
from recsys_dagster.warehouse.domain_run import DomainRun

DEFAULTS = "the defaults"


@dataclass(frozen=True)
class JointResult:
    """What a search over several domains found for a model.

    Attributes:
        tuned: the best parameters of each domain, by its name.
        values: metric on the validation fold by parameters (DEFAULTS, or the domain that they were tuned on), then by
            domain.
        chosen: the parameters with the smallest largest loss.
    """

    tuned: Mapping[str, Tuned]
    values: Mapping[str, Mapping[str, float]]
    chosen: str

    @property
    def params(self) -> dict[str, Any]:
        """The chosen parameters."""
        if self.chosen != DEFAULTS:
            return self.tuned[self.chosen].params
        return get_model_class(next(iter(self.tuned.values())).model).params_type().model_dump()

    def loss(self, params: str, domain: str) -> float:
        """Return by what share these parameters are worse than the domain's own best ones."""
        return loss(self.tuned[domain].metric, self.values[params][domain], self.tuned[domain].value)


def tune_jointly(
    settings: Settings, domains: Sequence[str], models: Sequence[str], trials: int, seconds: float
) -> dict[str, JointResult]:
    """Tune models on each domain, and compare what was found there on the other domains.

    Of the defaults and the best parameters of each domain, those are chosen whose largest loss over the domains is the
    smallest; of equal ones the defaults. The time is divided evenly among the searches that are left.

    Args:
        settings: of the pipeline.
        domains: names of domains that were run.
        models: names of models that have parameters to search.
        trials: number of trials of each search in the end.
        seconds: time for all searches; the defaults of each model are always tried.

    Returns:
        The result by model. A model that suits no domain, or of which every trial failed, is skipped and announced.
    """
    ends_at = time.monotonic() + seconds
    results = {}
    for place, model in enumerate(models):
        tuned: dict[str, Tuned] = {}
        for number, domain in enumerate(domains):
            left = len(domains) * (len(models) - place) - number
            share = max(0.0, ends_at - time.monotonic()) / left if math.isfinite(seconds) else math.inf
            try:
                with DomainRun(settings, get_domain(domain, settings)) as run:
                    tuned[domain] = tune(run, model, trials, share)
            except RecsysError as error:
                announce(f"{domain}: {error}")
        if tuned:
            results[model] = _compare(settings, model, tuned)
    return results


def _compare(settings: Settings, model: str, tuned: Mapping[str, Tuned]) -> JointResult:
    """Try the parameters of each domain on the others."""
    options = {DEFAULTS: get_model_class(model).params_type().model_dump()}
    options |= {domain: one.params for domain, one in tuned.items()}
    values: dict[str, dict[str, float]] = {name: {} for name in options}
    for domain in tuned:
        with DomainRun(settings, get_domain(domain, settings)) as run:
            for name, params in options.items():
                try:
                    values[name][domain] = value_of(run, model, params)
                except RecsysError as error:
                    announce(f"{domain}: {error}")
                    values[name][domain] = math.nan
    return JointResult(tuned, values, choose(tuned, values))


def choose(tuned: Mapping[str, Tuned], values: Mapping[str, Mapping[str, float]]) -> str:
    """Return the parameters with the smallest largest loss over the domains; those that failed on one come last."""

    def largest_loss(name: str) -> float:
        losses = [loss(one.metric, values[name][domain], one.value) for domain, one in tuned.items()]
        return math.inf if any(map(math.isnan, losses)) else max(losses)

    return min(values, key=largest_loss)


def loss(metric: str, value: float, best: float) -> float:
    """Return by what share a value is worse than the best one; of the RMSE, a lower value is better."""
    return value / best - 1 if metric == "rmse" else 1 - value / best
