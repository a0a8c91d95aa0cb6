import random
import stat
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_dagster.errors import RecsysError
from recsys_dagster.ingest.archive import BadArchiveError, copy_checked, examine, unpack
from recsys_dagster.ingest.formats import FORMATS, Column, SourceFile

MOVIES = "movieId,title,genres\r\n1,Toy Story (1995),Adventure|Animation\r\n2,Amélie (2001),Comedy|Romance\r\n"
RATINGS = "userId,movieId,rating,timestamp\r\n1,1,4.0,964982703\r\n1,2,3.5,964982224\r\n2,1,5.0,964981247\r\n"
WHOLE: dict[str, str | bytes] = {"ml/movies.csv": MOVIES, "ml/ratings.csv": RATINGS}
NUMBERS = SourceFile("numbers.csv", (Column("a"), Column("b", aliases=("B", "bee"))))
PLACE = Path("numbers.csv")


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "unpacked"
    path.mkdir()
    return path


@pytest.fixture
def unpacked(pack, folder):
    return lambda members: unpack(pack(members), "ml.zip", FORMATS["movielens"], folder)


def test_only_the_files_of_the_format_are_unpacked_wherever_they_are(unpacked, folder):
    files = unpacked({**WHOLE, "ml/README.txt": "hello", "ml/more.csv": "x", "ml/": ""})
    assert {path.name for path in folder.iterdir()} == {"movies.csv", "ratings.csv"}
    assert (folder / "movies.csv").read_bytes() == MOVIES.encode()
    assert files["ratings.csv"].bytes == len(RATINGS)
    assert files["ratings.csv"].lines == 4
    assert files["ratings.csv"].header == ("userId", "movieId", "rating", "timestamp")


def test_of_several_files_the_one_nearest_to_the_top_is_unpacked(unpacked, folder):
    unpacked({**WHOLE, "ml/old/movies.csv": "what is this"})
    assert (folder / "movies.csv").read_bytes() == MOVIES.encode()


def test_two_files_equally_near_to_the_top_are_refused(unpacked):
    with pytest.raises(BadArchiveError, match=r"contains both ml/movies\.csv and other/movies\.csv"):
        unpacked({**WHOLE, "other/movies.csv": MOVIES})


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_a_truncated_archive_is_refused(pack, folder, share):
    archive = pack({**WHOLE, "ml/genome.bin": random.Random(2).randbytes(5000)})
    archive.write_bytes(archive.read_bytes()[: int(archive.stat().st_size * share)])
    with pytest.raises(BadArchiveError, match=r"ml\.zip: not a whole ZIP archive .* fresh copy"):
        unpack(archive, "ml.zip", FORMATS["movielens"], folder)


def test_every_flipped_byte_is_detected(pack, folder):
    archive = pack({**WHOLE, "ml/ratings.csv": RATINGS + "".join(f"3,{i},1.0,0\r\n" for i in range(500))})
    whole = archive.read_bytes()
    with zipfile.ZipFile(archive) as opened:
        member = opened.getinfo("ml/ratings.csv")
    start = member.header_offset + 30 + len(member.filename)
    for position in range(start, start + member.compress_size, 97):
        archive.write_bytes(whole[:position] + bytes([whole[position] ^ 0x10]) + whole[position + 1 :])
        with pytest.raises(BadArchiveError):
            unpack(archive, "ml.zip", FORMATS["movielens"], folder)


def test_a_missing_file_is_named_with_the_content_of_the_archive(unpacked):
    with pytest.raises(BadArchiveError, match=r"lacks ratings\.csv, which the format movielens needs; it contains ml"):
        unpacked({"ml/movies.csv": MOVIES})


def test_an_optional_file_may_be_missing(pack, folder):
    members = {
        file.name: ",".join(column.name for column in file.columns) + "\n" + ",".join("1" for _ in file.columns)
        for file in FORMATS["anime-2020"].files
        if file.required or file.name == "animelist.csv"
    }
    files = unpack(pack(members), "anime.zip", FORMATS["anime-2020"], folder)
    assert set(files) == {"anime.csv", "animelist.csv"}


@pytest.mark.parametrize("path", ["../ratings.csv", "/etc/ratings.csv", "ml/../../x", "..\\..\\ratings.csv"])
def test_an_archive_with_a_path_that_leads_out_of_it_is_refused(unpacked, folder, path):
    with pytest.raises(BadArchiveError, match="leads out of the archive"):
        unpacked({**WHOLE, path: RATINGS})
    assert list(folder.iterdir()) == []


def test_a_link_is_refused(pack, folder):
    archive = pack({"ml/movies.csv": MOVIES})
    link = zipfile.ZipInfo("ml/ratings.csv")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(archive, "a") as opened:
        opened.writestr(link, "/etc/passwd")
    with pytest.raises(BadArchiveError, match=r"ml/ratings\.csv is a link"):
        unpack(archive, "ml.zip", FORMATS["movielens"], folder)


def test_a_zip_bomb_is_refused_before_it_is_unpacked(unpacked, folder):
    with pytest.raises(BadArchiveError, match="would unpack to 70 MB, more than the 67 MB that are plausible"):
        unpacked({**WHOLE, "ml/ratings.csv": b"\0" * 70_000_000})
    assert list(folder.iterdir()) == []


def test_a_zip_bomb_that_declares_a_small_size_is_not_unpacked_beyond_it(pack, folder):
    archive = pack({"ml/movies.csv": MOVIES, "ml/ratings.csv": RATINGS + "1,1,1.0,1\r\n" * 100_000})
    declared, real = (1000).to_bytes(4, "little"), len(RATINGS) + 1_100_000
    archive.write_bytes(archive.read_bytes().replace(real.to_bytes(4, "little"), declared))
    with pytest.raises(BadArchiveError, match="not a whole ZIP archive"):
        unpack(archive, "ml.zip", FORMATS["movielens"], folder)
    assert (folder / "ratings.csv").stat().st_size <= 1000


def test_an_encrypted_archive_is_refused(pack, folder):
    archive = pack(WHOLE)
    content = bytearray(archive.read_bytes())
    for signature, offset in ((b"PK\x01\x02", 8), (b"PK\x03\x04", 6)):
        at = content.find(signature)
        content[at + offset] |= 1
    archive.write_bytes(content)
    with pytest.raises(BadArchiveError, match="without password"):
        unpack(archive, "ml.zip", FORMATS["movielens"], folder)


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("movieId,Title,TITLE,genres", r"lacks the column title; its header is 'movieId, Title, TITLE, genres'"),
        ("movieId,name,genres", r"lacks the column title; its header is 'movieId, name, genres'"),
        ("movieId;title;genres", r"lacks the columns movieId, title, genres; its header is 'movieId;title;genres'"),
        ("1,Toy Story,Comedy", r"lacks the columns movieId, title, genres"),
    ],
    ids=["ambiguous", "renamed", "other separator", "no header"],
)
def test_a_missing_column_is_named_with_the_header(unpacked, header, message):
    with pytest.raises(BadArchiveError, match=rf"ml\.zip: movies\.csv {message}"):
        unpacked({**WHOLE, "ml/movies.csv": f"{header}\n1,2,3\n"})


def test_the_aliases_of_a_missing_column_are_named():
    with pytest.raises(BadArchiveError, match="lacks the column b or B or bee"):
        examine([b"a,c\n1,2\n"], PLACE, NUMBERS, "x.zip")


@pytest.mark.parametrize(
    "header", ["a,b", "b,a,c", "a,B", "a, bee", '"a","b"', "\ufeffa,b", "a,b\r"], ids=lambda header: repr(header)
)
def test_headers_are_read_in_all_their_spellings(header):
    result = examine([f"{header}\n1,2\n".encode()], PLACE, NUMBERS, "x.zip")
    assert set(NUMBERS.spellings(result.header)) == {"a", "b"}


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16"])
def test_another_encoding_is_refused_with_its_line_and_the_cure(unpacked, encoding):
    line = 3 if encoding == "latin-1" else 1
    with pytest.raises(BadArchiveError, match=rf"movies\.csv, line {line}: expected UTF-8, .*iconv -f .* movies\.csv"):
        unpacked({**WHOLE, "ml/movies.csv": MOVIES.encode(encoding)})


@pytest.mark.parametrize("header", ["UserID,MovieID,Rating,Timestamp", "user_id,movie_id,RATING,time stamp"])
def test_a_header_may_differ_in_case_blanks_and_underscores(header):
    (ratings,) = [file for file in FORMATS["movielens"].files if file.name == "ratings.csv"]
    result = examine([f"{header}\n1,2,4.0,9\n".encode()], PLACE, ratings, "ml.zip")
    assert list(ratings.spellings(result.header)) == ["userId", "movieId", "rating", "timestamp"]


def test_an_empty_file_is_refused(unpacked):
    with pytest.raises(BadArchiveError, match=r"ml\.zip: ratings\.csv is empty"):
        unpacked({**WHOLE, "ml/ratings.csv": b""})


@pytest.mark.parametrize("end", ["", "\n"])
def test_a_header_without_rows_is_refused(unpacked, end):
    with pytest.raises(BadArchiveError, match=r"ml\.zip: ratings\.csv has a header but no rows"):
        unpacked({**WHOLE, "ml/ratings.csv": f"userId,movieId,rating,timestamp{end}"})


@pytest.mark.parametrize("content", [b"a" * 3_000_000, b'"' * 200_000, b"a\rb\r" * 100_000, b"\n\n\n"])
def test_a_file_that_is_not_a_table_is_refused(content):
    blocks = [content[start : start + 100_000] for start in range(0, len(content), 100_000)]
    with pytest.raises(BadArchiveError, match="lacks the column"):
        examine(blocks, PLACE, NUMBERS, "x.zip")


def test_a_disk_that_is_too_small_is_reported_before_anything_is_written(pack, small_disk):
    archive = pack({"ml/movies.csv": MOVIES, "ml/ratings.csv": RATINGS + "1,1,1.0,1\r\n" * 100_000})
    folder = small_disk / "raw" / "temporary"
    folder.mkdir(parents=True)
    with pytest.raises(
        RecsysError, match=r"raw: 1\.1 MB are needed and the disk has 1\.0 MB left; free some"
    ) as raised:
        unpack(archive, "ml.zip", FORMATS["movielens"], folder)
    assert not isinstance(raised.value, BadArchiveError)
    assert list(folder.iterdir()) == []


def test_a_disk_that_fills_up_while_unpacking_is_reported(pack):
    full = Path("/dev/full")
    if not full.is_char_device():
        pytest.skip("this system has no /dev/full")
    with pack(WHOLE).open("rb") as stream, pytest.raises(RecsysError, match="/dev/full: the disk is full"):
        copy_checked(stream, full, SourceFile("any.csv", ()), "x.zip")


@given(
    rows=st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n\r"), max_size=8), min_size=1),
    broken=st.integers(min_value=0),
    size=st.integers(1, 7),
)
def test_the_line_of_an_invalid_byte_is_right_for_any_block_size(rows, broken, size):
    lines = ["a,b", *rows]
    at = 1 + broken % len(rows)
    encoded = [line.encode() for line in lines]
    encoded[at] += b"\xff"
    content = b"\n".join(encoded)
    blocks = [content[start : start + size] for start in range(0, len(content), size)]
    with pytest.raises(BadArchiveError, match=rf"numbers\.csv, line {at + 1}: .* the byte 0xff"):
        examine(blocks, PLACE, NUMBERS, "x.zip")


def damaged(content: bytes, random_: random.Random) -> bytes:
    """Change, remove or insert bytes, more often near the end, where the directory of an archive is."""
    result = bytearray(content)
    for _ in range(random_.choice([1, 1, 2, 5, 20])):
        at = random_.randrange(random_.choice([0, max(0, len(result) - 400)]), len(result))
        kind = random_.random()
        if kind < 0.6:
            result[at] = random_.randrange(256)
        elif kind < 0.75:
            del result[at : at + random_.randrange(1, 40)]
        elif kind < 0.9:
            result[at:at] = random_.randbytes(random_.randrange(1, 30))
        else:
            result[at : at + 4] = random_.choice([b"\xff" * 4, b"\0" * 4, b"\xff\xff\xff\x7f"])
    return bytes(result)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_every_damaged_archive_is_read_or_refused_in_one_line(tmp_path, method):
    random_ = random.Random(method)
    archive, folder = tmp_path / "ml.zip", tmp_path / "unpacked"
    folder.mkdir()
    with zipfile.ZipFile(archive, "w", method) as packed:
        for name, content in {**WHOLE, "ml/d\u00e9.txt": "x"}.items():
            packed.writestr(name, content)
    whole = archive.read_bytes()
    messages = []
    for _ in range(250):
        archive.write_bytes(damaged(whole, random_))
        try:
            unpack(archive, "ml.zip", FORMATS["movielens"], folder)
        except BadArchiveError as error:
            messages.append(str(error))
    assert len(messages) > 150
    assert all(message.startswith("ml.zip") and message.isprintable() for message in messages)
