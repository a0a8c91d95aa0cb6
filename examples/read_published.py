"""Print the published recommendations of a user, with DuckDB alone.

    python examples/read_published.py data/published/movie.duckdb 42

An application needs no more than this: the file is complete, and it is opened read-only. Open it for each request, or
again from time to time: a run puts a new file in its place, which an open connection does not see.
"""

import sys

import duckdb

RECOMMENDATIONS = """
    SELECT recommendations.rank, items.title, items.genres, recommendations.score
    FROM recommendations
    JOIN items USING (item_id)
    WHERE recommendations.user_id = $user_id
    ORDER BY recommendations.rank
    LIMIT 10
"""


def main(path: str, user_id: int) -> None:
    """Print where the lists come from, and the first ten entries of the user's."""
    with duckdb.connect(path, read_only=True) as connection:
        model, dataset, created_at = connection.execute("SELECT model, dataset, created_at FROM provenance").fetchall()[
            0
        ]
        rows = connection.execute(RECOMMENDATIONS, {"user_id": user_id}).fetchall()
    print(f"Made by {model} from {dataset} at {created_at} UTC")
    for rank, title, genres, score in rows:
        print(f"{rank:3} {title} ({', '.join(genres or [])}) {score:.3f}")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
