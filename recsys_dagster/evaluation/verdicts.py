"""State the results of a leaderboard in plain sentences."""

from recsys_dagster.evaluation.leaderboard import Comparison, Leaderboard
from recsys_dagster.evaluation.metrics.registry import CHOOSING_METRIC, higher_is_better, label_of
from recsys_dagster.evaluation.significance import SIGNIFICANT
from recsys_dagster.evaluation.store import CHOOSING_FOLD, CONSTANT, REPORTED_FOLD, MetricRow
from recsys_dagster.models.registry import RANKING_BASELINE, RATING_BASELINE

_DISPLAY_NAMES = {RANKING_BASELINE: "popularity", RATING_BASELINE: "the damped bias", CONSTANT: "the constant"}


def verdicts(leaderboard: Leaderboard) -> list[str]:
    """Return sentences on the champion, the models not distinguishable from it, the missing ones and the baselines."""
    champion = next(row for row in leaderboard.rows if row.model == leaderboard.champion)
    sentences = []
    if champion.chosen_by is not None:
        sentence = f"{champion.model} is the champion: {_format_value(champion.chosen_by)} on {CHOOSING_FOLD}"
        if CHOOSING_METRIC in champion.shown:
            sentence += f", {_format_value(champion.shown[CHOOSING_METRIC])} on {REPORTED_FOLD}"
        sentences.append(sentence + ".")
    equals = [row.model for row in leaderboard.rows if row.distinguishable is False]
    if equals:
        sentences.append(f"Not distinguishable from {champion.model} on {REPORTED_FOLD}: {', '.join(equals)}.")
    elif any(row.distinguishable for row in leaderboard.rows):
        sentences.append(f"Every other model is distinguishable from {champion.model} on {REPORTED_FOLD}.")
    sentences += [f"{outcome}." for outcome in leaderboard.missing]
    sentences += [
        f"{_display_name(row.model)} {diagnostic.message}."
        for row in leaderboard.rows
        for diagnostic in row.diagnostics
    ]
    return sentences + [_comparison_sentence(comparison) for comparison in leaderboard.comparisons]


def _comparison_sentence(comparison: Comparison) -> str:
    """Return whether the model beats the baseline, with both values and their difference."""
    model, baseline, difference = comparison.model, comparison.baseline, comparison.difference
    sign = 1 if higher_is_better(model.key) else -1
    verb = "beats" if sign * (model.value - baseline.value) > 0 else "does not beat"
    line = (
        f"{_display_name(model.model)} {verb} {_display_name(baseline.model)}: "
        f"{label_of(model.key)} {model.value:.3f} against {baseline.value:.3f}"
    )
    if difference is None:
        return line + "."
    line += f" (difference {difference.value:+.4f}, 95 % {difference.low:+.4f} to {difference.high:+.4f})"
    chance = comparison.p is None or comparison.p >= SIGNIFICANT
    return line + (", which may be chance." if chance else ".")


def _format_value(row: MetricRow) -> str:
    return f"{label_of(row.key)} {row.value:.3f} (95 % {row.low:.3f} to {row.high:.3f})"


def _display_name(model: str) -> str:
    return _DISPLAY_NAMES.get(model, model)
