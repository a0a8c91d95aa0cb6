"""A whole run on items without titles and with names that plots, pages and terminals could misunderstand."""

import zipfile
from pathlib import Path
from typing import Any

import duckdb

from recsys_dagster.ingest.samples.write import write_sample
from recsys_dagster.runtime.layout import Layout
from recsys_dagster.runtime.text import printable

AWKWARD_TITLE = r"$\frac{ {x} <&$ [/x] [prod]" + " \x1b[2J"
AWKWARD_GENRE = "$a_{ [/b]"


def make_mirror(folder: Path) -> Path:
    """Write an archive in which every fifth film has a blank title and every other fifth an awkward one."""
    sample = folder / "sample"
    write_sample("movielens", sample, n_users=60, n_items=60, n_ratings=1500, seed=1)
    header, *lines = (sample / "movies.csv").read_text(encoding="utf-8").splitlines()
    for number in range(0, len(lines), 5):
        item_id, genres = lines[number].partition(",")[0], lines[number].rpartition(",")[2]
        lines[number] = f"{item_id}, ,{genres}"
        item_id = lines[number + 1].partition(",")[0]
        lines[number + 1] = f"{item_id},{AWKWARD_TITLE},{AWKWARD_GENRE}|Drama"
    mirror = folder / "mirror"
    mirror.mkdir()
    with zipfile.ZipFile(mirror / "ml-latest-small.zip", "w") as archive:
        archive.writestr("ml-latest-small/movies.csv", "\n".join([header, *lines]) + "\n")
        archive.write(sample / "ratings.csv", "ml-latest-small/ratings.csv")
    return mirror


def test_a_run_shows_every_name_literally_and_items_without_one_by_their_id(home: Any, tmp_path: Path) -> None:
    home.environment |= {"RECSYS_MIRROR": str(make_mirror(tmp_path)), "RECSYS_DATASET_MOVIE": "ml-latest-small"}
    done = home.recsys("run", "--domain", "movie")
    assert done.returncode == 0, done.stderr
    layout = Layout(home.path)
    with duckdb.connect(layout.published("movie"), read_only=True) as connection:
        blank = {item for (item,) in connection.execute("SELECT item_id FROM items WHERE title IS NULL").fetchall()}
        lists = connection.execute(
            "SELECT user_id, list(item_id) FROM recommendations GROUP BY user_id ORDER BY user_id LIMIT 3"
        ).fetchall()
    assert len(blank) == 12

    for user, items in lists:
        shown = home.recsys("recommend", "--domain", "movie", "--user", str(user), "-n", "100")
        assert (shown.returncode, shown.stderr.count("\n")) == (0, 1), shown.stderr
        assert {f"#{item}" for item in blank & set(items)} <= set(shown.stdout.split())
        assert all(line.isprintable() for line in shown.stdout.splitlines())
        assert printable(AWKWARD_TITLE) in shown.stdout
    item = min(blank)
    rated = home.recsys("recommend", "--domain", "movie", "--rated", f"#{item}=5", "-n", "1")
    assert rated.returncode == 0, rated.stderr
    assert f"for: #{item} (Movie) 5" in rated.stdout

    page = layout.report("movie").read_text(encoding="utf-8")
    assert any(f'<span class="title">#{item}</span>' in page for item in blank)
    assert f"{AWKWARD_GENRE}</text>" in page
    assert ">None<" not in page
