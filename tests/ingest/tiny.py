"""A dataset of two movies and two ratings, and what a home holds after fetching it."""

from pathlib import Path

from recsys_dagster.ingest.catalogue import CATALOGUE

SMALL = CATALOGUE["ml-latest-small"]
MOVIES = "movieId,title,genres\n1,Toy Story (1995),Adventure\n2,Heat (1995),Action\n"
RATINGS = "userId,movieId,rating,timestamp\n1,1,4.0,964982703\n1,2,3.5,964982224\n"
WHOLE = {"ml/movies.csv": MOVIES, "ml/ratings.csv": RATINGS}
PATH = "/ml-latest-small.zip"
"""Path of the archive on the server."""


def contents(home: Path) -> dict[str, bytes]:
    """Every file under the home but the lock, with its content."""
    return {
        str(path.relative_to(home)): path.read_bytes()
        for path in home.rglob("*")
        if path.is_file() and path.name != ".lock"
    }
