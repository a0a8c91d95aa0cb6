"""Choose the models that a run fits, and the budget of each."""

from recsys_dagster.models.budget import Budget
from recsys_dagster.models.registry import BASELINES, RECENT_BASELINE, get_model_class, model_names
from recsys_dagster.settings import Settings


def selected_models(settings: Settings) -> tuple[str, ...]:
    """Return the names of the models that a run fits, in the order of the registry; the baselines are always included.

    These are the models named in RECSYS_MODELS. If it is empty or `all`, they are all models.

    Raises:
        UsageError: the settings name a model that does not exist; the message lists the known names.
    """
    chosen = set(settings.models)
    if chosen in (set(), {"all"}):
        chosen = set(model_names())
    for name in chosen:
        get_model_class(name)
    chosen |= {*BASELINES, RECENT_BASELINE}
    return tuple(name for name in model_names() if name in chosen)


def budget_of(settings: Settings, model: str) -> Budget | None:
    """Return the budget of a model in a run; None (no limit) if RECSYS_MODELS names models, or for a baseline."""
    if settings.models or model in BASELINES:
        return None
    return Budget(settings.budget_seconds, settings.budget_memory)
