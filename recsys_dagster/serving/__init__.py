"""Published lists: writing the file that readers open, looking people up in it, and answering those who are not in it.

What belongs here: the published DuckDB file, and nothing of how its lists were made. Importing this package is cheap
(no TensorFlow, pandas, pyarrow or NumPy), because the command line answers from it.
"""

from recsys_dagster.serving.lookup import Provenance, Published, Recommendation, format_score
from recsys_dagster.serving.newcomers import Answer, recommend_by_ratings, recommend_by_tastes
from recsys_dagster.serving.publishing import Written, publish
from recsys_dagster.serving.swapping import go_back, has_previous, swap_in

__all__ = [
    "Answer",
    "Provenance",
    "Published",
    "Recommendation",
    "Written",
    "format_score",
    "go_back",
    "has_previous",
    "publish",
    "recommend_by_ratings",
    "recommend_by_tastes",
    "swap_in",
]
