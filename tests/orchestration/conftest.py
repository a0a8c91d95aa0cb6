"""The fixtures of whole runs."""

from whole_runs import home, movie_run

__all__ = ["home", "movie_run"]
