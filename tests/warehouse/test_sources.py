"""What each publisher's files become."""

import datetime as dt
from pathlib import Path

import pytest
from handmade import MOVIES, RATINGS_HEADER, build, rows

from recsys_dagster.warehouse import duckdb_engine

ANIME_2020 = (
    "MAL_ID,Name,Score,{genres},English name,Japanese name,Type,Episodes,Aired,Premiered,Rating,Members\n"
    '1,Death &amp; Rebirth,8.78,"Action, Sci-Fi",Unknown,x,TV,26,"Apr 3, 1998 to Apr 24, 1999",-,PG,10\n'
    "2,Unknown,Unknown,Unknown,-,x,Unknown,Unknown,Unknown,-,Unknown,0\n"
    '3,C,7,"Hentai, Comedy",See,x,OVA,0,2021 to ?,-,Unknown,4\n'
    "4,D,7,Comedy,Dee,x,OVA,2,Not available,-,Rx - Hentai,4\n"
)
RATINGS_2020 = "user_id,anime_id,rating\n1,1,9\n1,2,7\n2,3,-1\n"
ANIMELIST_2020 = (
    "user_id,anime_id,rating,watching_status,watched_episodes\n1,1,9,1,13\n2,1,0,6,0\n2,4,8,4,1\n2,2,0,7,0\n"
)


def test_the_year_leaves_the_title_of_a_film(tmp_path: Path) -> None:
    movies = (
        "movieId,title,genres\n"
        "1,Toy Story (1995),Adventure|Children\n"
        '2,"American President, The (1995) ",Drama\n'
        "3,Babylon 5,(no genres listed)\n"
        "4,Death Note (2006–2007),(no genres listed)\n"
        "5,Cosmos (2014-),Documentary\n"
        "6,(1941),\n"
        "7,2001: A Space Odyssey (1968),Sci-Fi\n"
        "8,Tom &amp; Jerry (1992),Children\n"
    )
    warehouse = build(tmp_path, "movielens", {"movies.csv": movies, "ratings.csv": RATINGS_HEADER})
    assert rows(warehouse, "SELECT title, year, genres, kind FROM clean.items ORDER BY item_id") == [
        ("Toy Story", 1995, ["Adventure", "Children"], "Movie"),
        ("American President, The", 1995, ["Drama"], "Movie"),
        ("Babylon 5", None, None, "Movie"),
        ("Death Note", 2006, None, "Movie"),
        ("Cosmos", 2014, ["Documentary"], "Movie"),
        ("(1941)", 1941, None, "Movie"),
        ("2001: A Space Odyssey", 1968, ["Sci-Fi"], "Movie"),
        ("Tom & Jerry", 1992, ["Children"], "Movie"),
    ]


def test_tags_of_films_are_those_of_the_genome_else_those_of_users(tmp_path: Path) -> None:
    many = "".join(f"5,3,tag {n:02},1\n" for n in range(25)) + "6,3,Tag 24 ,1\n"
    files = {
        "movies.csv": "movieId,title,genres\n1,One,Drama\n2,Two,Drama\n3,Three,Drama\n4,Four,Drama\n",
        "ratings.csv": RATINGS_HEADER,
        "tags.csv": f"userId,movieId,tag,timestamp\n5,1,of a user,1\n5,2,Funny,1\n6,2, funny,1\n6,2,Dark,1\n{many}",
        "genome_scores.csv": "movieId,tagId,relevance\n1,1,0.5\n1,2,0.9\n1,3,0.49\n",
        "genome_tags.csv": "tagId,tag\n1,pixar\n2,Robots\n3,dull\n",
    }
    tags = dict(rows(build(tmp_path, "movielens", files), "SELECT item_id, tags FROM clean.items"))
    assert tags == {
        1: ["robots", "pixar"],
        2: ["funny", "dark"],
        3: ["tag 24", *(f"tag {n:02}" for n in range(19))],
        4: None,
    }


def test_the_page_of_a_film_is_that_of_its_imdb_number(tmp_path: Path) -> None:
    files = {
        "movies.csv": "movieId,title,genres\n1,Heat (1995),Crime\n2,No Link,Crime\n3,Long Number,Crime\n",
        "ratings.csv": "userId,movieId,rating,timestamp\n1,1,4,1000000000\n",
        "links.csv": "movieId,imdbId,tmdbId\n1,0113277,949\n3,12345678,\n",
    }
    read = "SELECT page_url FROM clean.items ORDER BY item_id"
    assert [url for (url,) in rows(build(tmp_path, "movielens", files), read)] == [
        "https://www.imdb.com/title/tt0113277/",
        None,
        "https://www.imdb.com/title/tt12345678/",
    ]


def test_a_time_before_the_first_rating_of_all_is_unknown(tmp_path: Path) -> None:
    ratings = RATINGS_HEADER + "1,1,4,964982703\n1,2,4,0\n1,3,4,31536000\n"
    warehouse = build(tmp_path, "movielens", {"movies.csv": MOVIES, "ratings.csv": ratings})
    times = rows(warehouse, "SELECT rated_at FROM clean.ratings ORDER BY item_id")
    assert times == [(dt.datetime(2000, 7, 30, 18, 45, 3),), (None,), (None,)]
    assert rows(warehouse, 'SELECT "at" FROM clean.interactions ORDER BY item_id') == times
    assert rows(warehouse, "SELECT DISTINCT status FROM clean.interactions") == [("completed",)]


@pytest.mark.parametrize(("genres", "synopsis"), [("Genres", "sypnopsis"), ("Genders", "Synopsis")])
def test_both_spellings_of_the_2020_headers_give_the_same_titles(tmp_path: Path, genres: str, synopsis: str) -> None:
    synopses = (
        f"MAL_ID,Name,Score,Genres,{synopsis}\n"
        '1,x,1,x,"He said ""no"", and left."\n'
        "3,x,1,x,No synopsis information has been added to this title. Help improve our database\n"
        "9,x,1,x,Of nothing\n"
    )
    files = {
        "anime.csv": ANIME_2020.format(genres=genres),
        "anime_with_synopsis.csv": synopses,
        "rating_complete.csv": RATINGS_2020,
        "animelist.csv": ANIMELIST_2020,
    }
    warehouse = build(tmp_path, "anime-2020", files)
    columns = "title, title_english, kind, year, genres, episodes, members, site_score, synopsis, is_adult"
    assert rows(warehouse, f"SELECT {columns} FROM clean.items ORDER BY item_id") == [
        (
            "Death & Rebirth",
            None,
            "TV",
            1998,
            ["Action", "Sci-Fi"],
            26,
            10,
            pytest.approx(8.78),
            'He said "no", and left.',
            False,
        ),
        ("Unknown", None, None, None, None, None, None, None, None, None),
        ("C", "See", "OVA", 2021, ["Hentai", "Comedy"], None, 4, 7.0, None, True),
        ("D", "Dee", "OVA", None, ["Comedy"], 2, 4, 7.0, None, True),
    ]


@pytest.mark.parametrize("rows_per_block", [1, 3, 2**24])
def test_a_list_entry_knows_more_of_a_watch_than_a_rating_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows_per_block: int
) -> None:
    monkeypatch.setattr(duckdb_engine, "ROWS_PER_BLOCK", rows_per_block)
    files = {
        "anime.csv": ANIME_2020.format(genres="Genres"),
        "rating_complete.csv": RATINGS_2020,
        "animelist.csv": ANIMELIST_2020,
    }
    warehouse = build(tmp_path, "anime-2020", files)
    assert rows(warehouse, "SELECT user_id, item_id, rating FROM clean.ratings ORDER BY ALL") == [(1, 1, 9), (1, 2, 7)]
    assert rows(
        warehouse, "SELECT user_id, item_id, status, progress, is_rated FROM clean.interactions ORDER BY ALL"
    ) == [
        (1, 1, "watching", 13, True),
        (1, 2, "completed", None, True),
        (2, 1, "plan_to_watch", 0, False),
        (2, 2, None, 0, False),
        (2, 3, "completed", None, False),
        (2, 4, "dropped", 1, False),
    ]
    assert rows(warehouse, "SELECT count(synopsis) FROM clean.items") == [(0,)]


def test_minus_one_and_zero_are_watches_without_a_rating(tmp_path: Path) -> None:
    anime = (
        "anime_id,name,genre,type,episodes,rating,members\n"
        '5,Gintama&#039;,"Action, Shounen Ai",TV,51,9.25,100\n6,Elsewhere,,,Unknown,,\n'
    )
    files = {"anime.csv": anime, "rating.csv": "user_id,anime_id,rating\n1,5,-1\n2,5,0\n3,5,10\n3,6,8\n"}
    warehouse = build(tmp_path, "cooper-union", files)
    assert rows(warehouse, "SELECT user_id, item_id, rating FROM clean.ratings ORDER BY ALL") == [(3, 5, 10), (3, 6, 8)]
    assert rows(warehouse, "SELECT user_id, item_id, status, is_rated FROM clean.interactions ORDER BY ALL") == [
        (1, 5, None, False),
        (2, 5, None, False),
        (3, 5, None, True),
        (3, 6, None, True),
    ]
    assert rows(warehouse, "SELECT title, kind, genres, episodes, is_adult FROM clean.items ORDER BY item_id") == [
        ("Gintama'", "TV", ["Action", "Shounen Ai"], 51, False),
        ("Elsewhere", None, None, None, None),
    ]


def test_times_as_text_and_as_seconds_are_one(tmp_path: Path) -> None:
    lists = (
        "username,anime_id,my_watched_episodes,my_start_date,my_score,my_status,my_last_updated,my_tags\n"
        'a,1,26,0000-00-00,9,2,2013-03-03 10:52:53,"x, y"\n'
        "b,1,3,0000-00-00,0,1,1362307973,\n"
        "c,1,0,0000-00-00,7,6,1970-01-01 00:00:00,\n"
        "d,1,0,0000-00-00,,3,0,\n"
    )
    titles = (
        "anime_id,title,title_english,type,episodes,aired_string,aired_from_year,rating,score,members,genre\n"
        '1,Trigun,Trigun,TV,26,"Apr 1, 1998 to ?",,R+ - Mild Nudity,8.2,5,Action\n'
        "2,B,,TV,0,2005,2004.0,Rx - Hentai,,5,\n"
    )
    files = {
        "anime_cleaned.csv": titles,
        "users_cleaned.csv": "username,user_id\na,1\nb,2\nc,3\nd,4\n",
        "animelists_cleaned.csv": lists,
    }
    warehouse = build(tmp_path, "myanimelist", files)
    watched = rows(warehouse, 'SELECT status, progress, "at" FROM clean.interactions ORDER BY status')
    time = dt.datetime(2013, 3, 3, 10, 52, 53)
    assert watched == [
        ("completed", 26, time),
        ("on_hold", 0, None),
        ("plan_to_watch", 0, None),
        ("watching", 3, time),
    ]
    assert rows(warehouse, "SELECT rating FROM clean.ratings ORDER BY 1") == [(7,), (9,)]
    assert rows(warehouse, "SELECT year, episodes, is_adult FROM clean.items ORDER BY item_id") == [
        (1998, 26, False),
        (2004, None, True),
    ]
