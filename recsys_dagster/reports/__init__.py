"""What people look at: plots, one self-contained HTML page a domain, and one that sets the domains side by side.

What belongs here: turning plain data into pictures and pages, and the few aggregates that only they need.
Importing this package imports neither matplotlib nor jinja2; drawing and writing do.
"""

from recsys_dagster.reports.backtest_page import write_backtest
from recsys_dagster.reports.comparison import (
    DomainResults,
    comparison_figures,
    comparison_records,
    published_results,
    write_comparison,
)
from recsys_dagster.reports.data_plots import (
    plot_activity,
    plot_counts,
    plot_joint,
    plot_over_time,
    plot_ratings,
    plot_titles,
    plot_words,
    plot_years,
    profile_figures,
)
from recsys_dagster.reports.data_profile import Fold, Profile, folds, profile
from recsys_dagster.reports.figures import drawn, standalone, to_png, to_svg
from recsys_dagster.reports.gathering import gather_report
from recsys_dagster.reports.model_plots import (
    learning_curves,
    plot_confusion,
    plot_importance,
    plot_leaderboard,
    plot_learning_curves,
    plot_lies,
    plot_slices,
    plot_tradeoff,
    slice_figures,
)
from recsys_dagster.reports.page import ModelCard, Report, write_report
from recsys_dagster.reports.people import Person, ShownTitle, Watched, describe_people, name_titles

__all__ = [
    "DomainResults",
    "Fold",
    "ModelCard",
    "Person",
    "Profile",
    "Report",
    "ShownTitle",
    "Watched",
    "comparison_figures",
    "comparison_records",
    "describe_people",
    "drawn",
    "folds",
    "gather_report",
    "learning_curves",
    "name_titles",
    "plot_activity",
    "plot_confusion",
    "plot_counts",
    "plot_importance",
    "plot_joint",
    "plot_leaderboard",
    "plot_learning_curves",
    "plot_lies",
    "plot_over_time",
    "plot_ratings",
    "plot_slices",
    "plot_titles",
    "plot_tradeoff",
    "plot_words",
    "plot_years",
    "profile",
    "profile_figures",
    "published_results",
    "slice_figures",
    "standalone",
    "to_png",
    "to_svg",
    "write_backtest",
    "write_comparison",
    "write_report",
]
