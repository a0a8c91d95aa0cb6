"""Define what the page of a domain shows: plain data classes, filled in by `collect` and rendered by `page`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from recsys_dagster.reports.data_profile import Fold, Profile
from recsys_dagster.reports.example_users import ExampleUser, ItemSummary
from recsys_dagster.serving.provenance import Provenance

if TYPE_CHECKING:
    from recsys_dagster.evaluation.example_lists import ListedItem
    from recsys_dagster.evaluation.importance import Importance
    from recsys_dagster.evaluation.leaderboard import Leaderboard
    from recsys_dagster.evaluation.store import ConfusionRow, MetricRow, SliceRow
    from recsys_dagster.lifecycle.waiting import Waiting
    from recsys_dagster.model_store.store import ModelRecord
    from recsys_dagster.papers.figures import PaperFigure
    from recsys_dagster.papers.records import FaultRow
    from recsys_dagster.reports.paper_runs import PaperRun
    from recsys_dagster.runtime.resource_usage import StepUsage
    from recsys_dagster.serving.tradeoff import Tradeoff
    from recsys_dagster.warehouse.build import FileAccount


@dataclass(frozen=True)
class ModelCard:
    """One model on the page.

    Attributes:
        name, summary: the model's name, and what it is in one sentence.
        record: the stored version that was evaluated.
        metrics: metrics of that version on all folds.
        curves: values by epoch of each Keras metric; empty if the model does not train in epochs.
        lists: the items that the model recommends to the example users.
        confusion: counts of predicted ratings by given rating; empty if the model predicts no ratings.
        slices: metrics of groups of users and items.
        importances: importance of each input; empty if the inputs cannot be separated.
    """

    name: str
    summary: str
    record: "ModelRecord"
    metrics: "Sequence[MetricRow]"
    curves: Mapping[str, Sequence[float]] = field(default_factory=dict)
    lists: "Sequence[ListedItem]" = ()
    confusion: "Sequence[ConfusionRow]" = ()
    slices: "Sequence[SliceRow]" = ()
    importances: "Sequence[Importance]" = ()


@dataclass(frozen=True)
class Report:
    """Everything that the page shows.

    Attributes:
        provenance: origin of the published lists.
        profile, folds: summary of the data and of its folds.
        fold_cuts: how the folds are cut and why.
        files: number of kept and rejected rows of each raw file.
        leaderboard: shown in the order of its rows, with a column for each metric that any row has; its differences
            are from the champion or, if that is not on it, from the leader.
        champion: name of the champion on the leaderboard; None if its version is not on it.
        champion_verdicts: sentences on who is champion and why.
        comparison_verdicts: sentences on the other models.
        models: the models of the leaderboard, in its order.
        skipped: the reason why a model is not on the leaderboard, by name.
        example_users: the users whose lists are shown for every model.
        items: the items on any of these lists, by id.
        papers: the figures of the papers about the domain, with ours where they were measured.
        paper_runs: what each system of a paper showed beside its figures.
        faults: the effect of each fault of the papers on a score.
        usage: resource usage of the last run of each step, in the order of the runs.
        waiting: lists that wait for approval, if there are any.
        tradeoff: what diversity and calibration cost the newest lists; None where it was not measured.
    """

    provenance: Provenance
    profile: Profile
    folds: Sequence[Fold]
    fold_cuts: str
    files: "Sequence[FileAccount]"
    leaderboard: "Leaderboard"
    champion: str | None
    champion_verdicts: Sequence[str]
    comparison_verdicts: Sequence[str]
    models: Sequence[ModelCard]
    skipped: Mapping[str, str]
    example_users: Sequence[ExampleUser]
    items: Mapping[int, ItemSummary]
    papers: "Sequence[PaperFigure]" = ()
    paper_runs: "Sequence[PaperRun]" = ()
    faults: "Sequence[FaultRow]" = ()
    usage: "Sequence[StepUsage]" = ()
    waiting: "Waiting | None" = None
    tradeoff: "Tradeoff | None" = None

    @property
    def evaluated_users(self) -> tuple[int, int]:
        """How many users the metrics of the leaderboard are over at most, and how many the test fold has."""
        over = [metric.users for row in self.leaderboard.rows for metric in row.shown.values()]
        return max(over, default=0), next((fold.users for fold in self.folds if fold.name == "test"), 0)
