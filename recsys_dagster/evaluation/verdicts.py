"""What a leaderboard says, in plain sentences."""

from recsys_dagster.evaluation.leaderboard import (
    CHOOSING,
    CHOOSING_FOLD,
    CONSTANT,
    REPORTED_FOLD,
    Comparison,
    Leaderboard,
)
from recsys_dagster.evaluation.metrics.accuracy import RATING_METRICS
from recsys_dagster.evaluation.significance import SIGNIFICANT
from recsys_dagster.evaluation.store import MetricRow
from recsys_dagster.models.registry import RANKING_BASELINE, RATING_BASELINE

_SAID = {RANKING_BASELINE: "popularity", RATING_BASELINE: "the damped bias", CONSTANT: "the constant"}
_METRIC_SAID = {"ndcg": "NDCG", "rmse": "RMSE"}


def verdicts(leaderboard: Leaderboard) -> list[str]:
    """Return what the leaderboard says, in sentences: the champion, its equals, the missing, who beats a baseline."""
    first = next(row for row in leaderboard.rows if row.model == leaderboard.champion)
    sentences = []
    if first.chosen_by is not None:
        sentence = f"{first.model} is the champion: {_estimate(first.chosen_by)} on {CHOOSING_FOLD}"
        if CHOOSING in first.shown:
            sentence += f", {_estimate(first.shown[CHOOSING])} on {REPORTED_FOLD}"
        sentences.append(sentence + ".")
    equals = [row.model for row in leaderboard.rows if row.distinguishable is False]
    if equals:
        sentences.append(f"Not distinguishable from {first.model} on {REPORTED_FOLD}: {', '.join(equals)}.")
    elif any(row.distinguishable for row in leaderboard.rows):
        sentences.append(f"Every other model is distinguishable from {first.model} on {REPORTED_FOLD}.")
    sentences += [f"{outcome}." for outcome in leaderboard.missing]
    sentences += [f"{_said(row.model)} {remark.text}." for row in leaderboard.rows for remark in row.remarks]
    return sentences + [_sentence(comparison) for comparison in leaderboard.comparisons]


def _sentence(comparison: Comparison) -> str:
    """Say in one line whether the model beats the baseline."""
    model, baseline, difference = comparison.model, comparison.baseline, comparison.difference
    gain = baseline.value - model.value if model.metric in RATING_METRICS else model.value - baseline.value
    verb = "beats" if gain > 0 else "does not beat"
    name, other = _said(model.model), _said(baseline.model)
    line = f"{name} {verb} {other}: {_label(model)} {model.value:.3f} against {baseline.value:.3f}"
    if difference is None:
        return line + "."
    line += f" (difference {difference.value:+.4f}, 95 % {difference.low:+.4f} to {difference.high:+.4f})"
    chance = comparison.p is None or comparison.p >= SIGNIFICANT
    return line + (", which may be chance." if chance else ".")


def _estimate(row: MetricRow) -> str:
    return f"{_label(row)} {row.value:.3f} (95 % {row.low:.3f} to {row.high:.3f})"


def _label(row: MetricRow) -> str:
    name = _METRIC_SAID[row.metric]
    return name if row.k is None else f"{name}@{row.k}"


def _said(model: str) -> str:
    return _SAID.get(model, model)
