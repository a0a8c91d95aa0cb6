"""Published lists: writing the file that readers open, and looking people up in it.

What belongs here: the published DuckDB file and nothing of how its lists were made. Importing this package is cheap
(no TensorFlow, pandas, pyarrow or NumPy), because the command line answers from it.
"""

from recsys_dagster.serving.lookup import Provenance, Published, Recommendation, format_score
from recsys_dagster.serving.publishing import Written, publish

__all__ = ["Provenance", "Published", "Recommendation", "Written", "format_score", "publish"]
