"""What people look at: plots, and one self-contained HTML page a domain.

What belongs here: turning plain data into pictures and pages, and the few aggregates that only they need.
Importing this package imports neither matplotlib nor jinja2; drawing and writing do.
"""

from recsys_dagster.reports.aggregates import Profile, Rated, Reader, pick_readers, profile
from recsys_dagster.reports.page import Report, profile_figures, write_report
from recsys_dagster.reports.plots import (
    plot_activity,
    plot_counts,
    plot_leaderboard,
    plot_learning_curves,
    plot_over_time,
    plot_ratings,
    plot_years,
    to_png,
    to_svg,
)

__all__ = [
    "Profile",
    "Rated",
    "Reader",
    "Report",
    "pick_readers",
    "plot_activity",
    "plot_counts",
    "plot_leaderboard",
    "plot_learning_curves",
    "plot_over_time",
    "plot_ratings",
    "plot_years",
    "profile",
    "profile_figures",
    "to_png",
    "to_svg",
    "write_report",
]
