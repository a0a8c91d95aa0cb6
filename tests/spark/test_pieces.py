"""Files are cut at the ends of lines, and only where a row is a line."""

from dataclasses import replace
from pathlib import Path

import pytest

from recsys_dagster.ingest.formats import FORMATS
from recsys_dagster.ingest.manifest import ManifestFile
from recsys_dagster.spark.pieces import cut

RATINGS = next(source for source in FORMATS["movielens"].files if source.name == "ratings.csv")
HEADER = b"userId,movieId,rating,timestamp"
ROWS = [b"%d,7,4.0,1000000000" % user for user in range(1, 101)]


def written(path: Path, content: bytes) -> ManifestFile:
    path.write_bytes(content)
    return ManifestFile(path, len(content), "", len(content.splitlines()), tuple(HEADER.decode().split(",")))


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
@pytest.mark.parametrize("last", [b"", b"\n"])
def test_the_pieces_are_the_lines_of_the_file_below_its_header(tmp_path: Path, end: bytes, last: bytes) -> None:
    content = end.join([HEADER, *ROWS]) + last.replace(b"\n", end)
    pieces = list(cut(RATINGS, written(tmp_path / "ratings.csv", content), 300))
    parts = [content[piece.start : piece.end] for piece in pieces]
    assert HEADER + end + b"".join(parts) == content
    assert len(pieces) == 7  # 20 or 21 bytes a line: 15 lines are the first to have 300
    assert all(300 <= len(part) < 325 for part in parts[:-1])
    rows = [len(part.splitlines()) for part in parts]
    assert [piece.file.lines for piece in pieces] == [1 + n for n in rows]
    assert [piece.lines_before for piece in pieces] == [1 + sum(rows[:n]) for n in range(len(rows))]


@pytest.mark.parametrize("odd", [b"1,7,4.0,1000000000\r\n", b"1,7,4.0\r,1000000000\n"])
def test_a_file_whose_lines_end_in_different_ways_stays_whole(tmp_path: Path, odd: bytes) -> None:
    content = b"\n".join([HEADER, *ROWS]) + b"\n" + odd
    (piece,) = cut(RATINGS, written(tmp_path / "ratings.csv", content), 300)
    assert (piece.start, piece.dialect) == (None, None)


def test_a_file_with_a_quoted_field_stays_whole(tmp_path: Path) -> None:
    movies = next(source for source in FORMATS["movielens"].files if source.name == "movies.csv")
    lines = [b"%d,Film,Drama" % item for item in range(100)]
    header = b"movieId,title,genres\n"
    plain = replace(written(tmp_path / "a", header + b"\n".join(lines)), header=("movieId", "title", "genres"))
    assert len(list(cut(movies, plain, 300))) > 1
    lines[70] = b'70,"Film\nin two lines",Drama'
    quoted = replace(written(tmp_path / "b", header + b"\n".join(lines)), header=("movieId", "title", "genres"))
    assert len(list(cut(movies, quoted, 300))) == 1
