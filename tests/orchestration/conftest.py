"""The fixtures of whole runs, of an instance, of a chat service, and of the services of `deploy/`."""

from services import compose, postgres, services
from watching import instance
from webhook import webhook
from whole_runs import home, movie_run

__all__ = ["compose", "home", "instance", "movie_run", "postgres", "services", "webhook"]
