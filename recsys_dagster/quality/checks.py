"""List all checks, each with the asset that it examines."""

from collections.abc import Callable, Sequence
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
    """A check of one asset. If a blocking check fails, nothing downstream of the asset is made.

    Attributes:
        name: name of the function that performs it.
        asset: (group, name) of the asset that it examines.
        find: performs it.
        description: what it means and, after "Cure:", what to do when it fails.
        blocking: whether its failure stops the domain; otherwise it is a warning.
    """

    name: str
    asset: tuple[str, str]
    find: Find
    description: str
    blocking: bool = True

    @property
    def cure(self) -> str:
        """What to do when the check fails."""
        return self.description.partition("Cure: ")[2]

    def message(self, domain: str, findings: Sequence[Finding]) -> str:
        """Return the result of the check in one line: the failed findings with the cure, or else all findings."""
        failed = [str(finding) for finding in findings if not finding.passed]
        if not failed:
            return "; ".join(map(str, findings))
        return f"{domain}: {'; '.join(failed)}. Cure: {self.cure}"


def _check(asset: tuple[str, str], find: Callable[..., list[Finding]], *, blocking: bool = True, **bound: str) -> Check:
    description = " ".join((find.__doc__ or "").split())
    return Check(find.__name__, asset, partial(find, **bound), description, blocking)


def all_checks() -> tuple[Check, ...]:
    """Return all checks; the check of scalers is there once for each model that has some."""
    scaled = [name for name in model_names() if issubclass(get_model_class(name), ScaledInputs)]
    return (
        _check(("clean", "ratings"), data.every_row_is_kept_or_rejected),
        _check(("clean", "ratings"), data.few_rows_are_rejected),
        _check(("clean", "ratings"), data.few_times_are_lost, blocking=False),
        _check(("clean", "ratings"), data.ratings_are_on_the_scale),
        _check(("clean", "ratings"), data.nothing_is_orphaned),
        _check(("clean", "ratings"), data.volumes_are_as_before),
        _check(("clean", "ratings"), data.ratings_are_distributed_as_before),
        _check(("clean", "ratings"), data.items_are_as_popular_as_before),
        _check(("features", "interactions"), leakage.no_fold_is_empty),
        _check(("features", "interactions"), leakage.folds_follow_each_other_in_time),
        _check(("features", "interactions"), leakage.no_pair_is_in_two_folds),
        _check(("features", "user_genre_taste"), leakage.tastes_are_of_the_training_fold),
        *(_check(("models", name), leakage.scalers_are_of_the_training_fold, model=name) for name in scaled),
        *(_check(("serving", "lists"), find) for find in lists.OF_LISTS),
    )
