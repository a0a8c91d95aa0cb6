"""Which models a run fits, and what it may spend on each."""

from recsys_dagster.models.budget import Budget
from recsys_dagster.models.registry import BASELINES, get_model_class, model_names
from recsys_dagster.settings import Settings


def selected_models(settings: Settings) -> tuple[str, ...]:
    """Return the names of the models that a run fits, in the registry's order; the baselines are always among them.

    Those that RECSYS_MODELS names, or all where it names none or `all`.

    Raises:
        UsageError: the settings name a model that does not exist; the message lists those that do.
    """
    chosen = set(settings.models)
    if chosen in (set(), {"all"}):
        chosen = set(model_names())
    for name in chosen:
        get_model_class(name)
    return tuple(name for name in model_names() if name in chosen | set(BASELINES))


def budget_of(settings: Settings, model: str) -> Budget | None:
    """Return what a run may spend on a model; None, for no limit, where the model is named or a baseline."""
    if settings.models or model in BASELINES:
        return None
    return Budget(settings.budget_seconds, settings.budget_memory)
