"""The list of the papers' faults, and how to measure the effect of each."""

from collections.abc import Callable, Iterable, Iterator

from recsys_dagster.errors import UsageError
from recsys_dagster.papers import fault_inputs, fault_orders, fault_rankings, fault_ratings
from recsys_dagster.papers.experiment import Experiment
from recsys_dagster.papers.records import FaultRow
from recsys_dagster.runtime.progress import announce

FAULTS: dict[str, Callable[[Experiment], list[FaultRow]]] = {
    "leaky-tastes": fault_inputs.leaky_tastes,
    "leaky-scalers": fault_inputs.leaky_scalers,
    "unrated-as-zero": fault_inputs.unrated_as_zero,
    "genre-by-substring": fault_inputs.genre_by_substring,
    "unrated-as-minus-1": fault_ratings.unrated_as_minus_one,
    "masked-below-6": fault_ratings.masked_below_six,
    "3.5-is-neither": fault_ratings.half_is_neither,
    "stack-in-sample": fault_ratings.stack_in_sample,
    "stops-on-the-test": fault_ratings.stops_on_what_it_reports,
    "one-seed": fault_ratings.luckiest_seed,
    "random-split": fault_ratings.random_split,
    "rating-alone": fault_rankings.rating_alone,
    "ids-by-largest": fault_rankings.ids_by_largest,
    "shuffled-order": fault_orders.shuffled_order,
    "ties-by-index": fault_orders.ties_by_index,
}
"""By name, the function that measures a fault; its docstring says what the fault is. It returns no rows if the data
cannot show the fault."""


def describe_fault(fault: str) -> str:
    """Return a sentence that says what the fault of that name is."""
    return (FAULTS[fault].__doc__ or "").strip()


def show_faults(experiment: Experiment, names: Iterable[str] | None = None) -> Iterator[FaultRow]:
    """Measure the effect of each fault; give its rows as they are computed.

    Args:
        experiment: the folds to measure on.
        names: names of the faults; None for all. A fault that the data cannot show, such as one of order in data
            without times, is announced and gives no rows.

    Raises:
        UsageError: there is no fault of one of the names.
    """
    for name in FAULTS if names is None else names:
        if name not in FAULTS:
            raise UsageError(f"unknown fault {name!r}; known: {', '.join(FAULTS)}")
        announce(f"{name} …")
        rows = FAULTS[name](experiment)
        if not rows:
            announce(f"{name}: {experiment.dataset} cannot show it")
        yield from rows
