"""State the results of a leaderboard in plain sentences."""

from recsys_dagster.evaluation.diagnostics import Severity
from recsys_dagster.evaluation.leaderboard import Comparison, Leaderboard, LeaderboardRow
from recsys_dagster.evaluation.metrics.registry import CHOOSING_METRIC, higher_is_better, label_of
from recsys_dagster.evaluation.significance import SIGNIFICANT
from recsys_dagster.evaluation.store import CHOOSING_FOLD, CONSTANT, REPORTED_FOLD, MetricRow
from recsys_dagster.model_store.decisions import Decision
from recsys_dagster.models.registry import RANKING_BASELINE, RATING_BASELINE

_POWER = 2.8
"""Standard errors of a difference that a two-sided test at 5 % detects with a power of 80 %: 1.96 + 0.84."""
_DISPLAY_NAMES = {RANKING_BASELINE: "popularity", RATING_BASELINE: "the damped bias", CONSTANT: "the constant"}


def verdicts(leaderboard: Leaderboard) -> list[str]:
    """Return sentences on the leader of a leaderboard, on which the gate has not decided, and on the other models."""
    row = next(row for row in leaderboard.rows if row.model == leaderboard.leader)
    leader = f"{row.model} is the best on {CHOOSING_FOLD}: {_choosing_values(row)}."
    return [
        leader,
        *_equals(leaderboard, row.model),
        *_power(leaderboard, row.model),
        *comparison_verdicts(leaderboard),
    ]


def champion_verdicts(leaderboard: Leaderboard, decision: Decision) -> list[str]:
    """Return who is champion and why, why each model that is better on the reported fold is not, the equals, and the
    smallest difference that can be detected.

    Args:
        leaderboard: the results, `compared_with` the champion if that is on it.
        decision: the decision that made the version the champion.
    """
    rows = {row.model: row for row in leaderboard.rows}
    champion = find_champion(leaderboard, decision)
    if champion is None or champion.chosen_by is None:
        value = decision.metrics.get(f"{CHOOSING_FOLD}_{CHOOSING_METRIC.column}")
        measured = "" if value is None else f": {label_of(CHOOSING_METRIC)} {value:.3f} on {CHOOSING_FOLD}"
        sentences = [
            f"{decision.model} {decision.version} is the champion{measured}. This version is not on the leaderboard."
        ]
    else:
        sentences = [f"{decision.model} is the champion: {_choosing_values(champion)}."]
    sentences.append(_choice(champion, decision, is_folded_in=leaderboard.is_folded_in))
    if champion is None:
        return sentences
    reported = {model: row.shown[CHOOSING_METRIC].value for model, row in rows.items() if CHOOSING_METRIC in row.shown}
    if decision.model in reported:
        bar = reported[decision.model]
        sentences += [
            f"{model} is better on {REPORTED_FOLD}: {label_of(CHOOSING_METRIC)} {reported[model]:.3f} against "
            f"{bar:.3f}. It was not taken: {_objection(rows[model], champion, decision)}."
            for model in sorted(reported, key=lambda model: -reported[model])
            if reported[model] > bar
        ]
    return sentences + _equals(leaderboard, decision.model) + _power(leaderboard, decision.model)


def find_champion(leaderboard: Leaderboard, decision: Decision) -> LeaderboardRow | None:
    """Return the champion's row; None if its version is not on the leaderboard."""
    rows = [row for row in leaderboard.rows if (row.model, row.version) == (decision.model, decision.version)]
    return rows[0] if rows else None


def comparison_verdicts(leaderboard: Leaderboard) -> list[str]:
    """Return sentences on the missing models, the diagnostics, and each model compared with the baselines."""
    sentences = [f"{outcome}." for outcome in leaderboard.missing]
    sentences += [
        f"{_display_name(row.model)} {diagnostic.message}."
        for row in leaderboard.rows
        for diagnostic in row.diagnostics
    ]
    return sentences + [_comparison_sentence(comparison) for comparison in leaderboard.comparisons]


def _choice(champion: LeaderboardRow | None, decision: Decision, *, is_folded_in: bool) -> str:
    """Return by whom the champion was chosen, why, and over how many users and what lists the gate compared it."""
    sentence = f"It was chosen {'by hand' if decision.by == 'hand' else 'by the gate'} ({decision.reason})"
    if decision.by == "hand" or champion is None or champion.chosen_by is None:
        return sentence + "."
    users = f"{champion.chosen_by.users:,} users of {CHOOSING_FOLD}"
    lists = ", with what each had done before their moment folded in" if is_folded_in else ""
    return f"{sentence}, which goes by the {label_of(CHOOSING_METRIC)} of {users}{lists}."


def _equals(leaderboard: Leaderboard, reference: str) -> list[str]:
    """Return a sentence on the models that are not distinguishable from the reference; none if nothing is known."""
    equals = [row.model for row in leaderboard.rows if row.distinguishable is False]
    if equals:
        return [f"Not distinguishable from {reference} on {REPORTED_FOLD}: {', '.join(equals)}."]
    if any(row.distinguishable for row in leaderboard.rows):
        return [f"Every other model is distinguishable from {reference} on {REPORTED_FOLD}."]
    return []


def _power(leaderboard: Leaderboard, model: str) -> list[str]:
    """Return the smallest difference of a model from the baseline that can be detected with the users there are.

    Its standard error is taken from the interval of the difference. If the model is the baseline, another model is
    compared with it.
    """
    known = [
        (comparison, comparison.difference.high - comparison.difference.low)
        for comparison in leaderboard.comparisons
        if comparison.model.key == CHOOSING_METRIC and comparison.difference is not None
    ]
    known.sort(key=lambda one: one[0].model.model != model)
    if not known or known[0][1] == 0:
        return []
    compared, width = known[0]
    error = width / (2 * 1.96)
    names = f"{_display_name(compared.model.model)} and {_display_name(compared.baseline.model)}"
    return [
        f"{compared.model.users:,} users of {REPORTED_FOLD} decide: if {names} truly differ by {_POWER * error:.3f}, "
        "four of five such folds show it."
    ]


def _objection(row: LeaderboardRow, champion: LeaderboardRow, decision: Decision) -> str:
    """Return why a model did not become champion, in half a sentence."""
    disqualifying = [one.message for one in row.diagnostics if one.severity is Severity.DISQUALIFYING]
    if disqualifying:
        return f"it {disqualifying[0]}"
    if row.model in decision.objections:
        return f"on {CHOOSING_FOLD}, {decision.objections[row.model]}"
    if decision.by == "hand":
        return "the champion was chosen by hand"
    if champion.chosen_by and row.chosen_by and row.chosen_by.value <= champion.chosen_by.value:
        values = f"{row.chosen_by.value:.3f} against {champion.chosen_by.value:.3f}"
        return f"the choice is made on {CHOOSING_FOLD}, where it has {values}"
    return f"the choice is made on {CHOOSING_FOLD}, where the gate preferred {decision.model}"


def _choosing_values(row: LeaderboardRow) -> str:
    """Return the choosing metric of a model on the choosing fold and on the reported fold."""
    values = [(row.chosen_by, CHOOSING_FOLD), (row.shown.get(CHOOSING_METRIC), REPORTED_FOLD)]
    return ", ".join(f"{_format_value(metric)} on {fold}" for metric, fold in values if metric is not None)


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
    return line + (", which may be chance after Holm's correction." if chance else ".")


def _format_value(row: MetricRow) -> str:
    return f"{label_of(row.key)} {row.value:.3f} (95 % {row.low:.3f} to {row.high:.3f})"


def _display_name(model: str) -> str:
    return _DISPLAY_NAMES.get(model, model)
