"""The list of all checks, and after which table each is made."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from recsys_dagster.models.capabilities import ScaledInputs
from recsys_dagster.models.registry import get_model_class, model_names
from recsys_dagster.quality import data, leakage, lists
from recsys_dagster.quality.findings import Finding
from recsys_dagster.warehouse.domain_run import DomainRun

Find = Callable[[DomainRun], list[Finding]]


@dataclass(frozen=True)
class Check:
    """A check, and what is stopped if it fails: all that comes after its asset.

    Attributes:
        name: of the function that makes it.
        asset: (group, name) that it is made of.
        find: makes it.
        description: what it means and what to do, for a person.
    """

    name: str
    asset: tuple[str, str]
    find: Find
    description: str


def _check(asset: tuple[str, str], find: Callable[..., list[Finding]], **bound: str) -> Check:
    return Check(find.__name__, asset, partial(find, **bound), " ".join((find.__doc__ or "").split()))


def all_checks() -> tuple[Check, ...]:
    """Return all checks; those of scalers for each model that scales its inputs by what it learnt."""
    scaled = [name for name in model_names() if issubclass(get_model_class(name), ScaledInputs)]
    return (
        _check(("clean", "ratings"), data.every_row_is_kept_or_rejected),
        _check(("clean", "ratings"), data.few_rows_are_rejected),
        _check(("clean", "ratings"), data.ratings_are_on_the_scale),
        _check(("clean", "ratings"), data.nothing_is_orphaned),
        _check(("clean", "ratings"), data.volumes_are_as_before),
        _check(("clean", "ratings"), data.ratings_are_distributed_as_before),
        _check(("clean", "ratings"), data.items_are_as_popular_as_before),
        _check(("features", "interactions"), leakage.folds_follow_each_other_in_time),
        _check(("features", "interactions"), leakage.no_pair_is_in_two_folds),
        _check(("features", "user_genre_taste"), leakage.tastes_are_of_the_training_fold),
        *(_check(("models", name), leakage.scalers_are_of_the_training_fold, model=name) for name in scaled),
        *(_check(("serving", "lists"), find) for find in lists.OF_LISTS),
    )
