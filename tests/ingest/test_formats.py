import csv
import io
import zipfile
from pathlib import Path

import pytest

from recsys_dagster.domains import BUILT_IN_DOMAINS
from recsys_dagster.errors import UsageError
from recsys_dagster.ingest.catalogue import CATALOGUE, Generated, get_dataset
from recsys_dagster.ingest.formats import FORMATS
from recsys_dagster.settings import Settings


def test_every_default_dataset_belongs_to_its_domain_and_needs_no_network():
    for domain in BUILT_IN_DOMAINS.values():
        dataset = CATALOGUE[domain.default_dataset]
        assert dataset.domain == domain.name
        assert isinstance(dataset.source, Generated)


def test_an_unknown_dataset_is_an_error_that_names_the_nearest_ones_and_what_makes_one(tmp_path: Path):
    with pytest.raises(UsageError, match=r"unknown dataset 'ml-2m'; such as ml-32m, .*recsys datasets.*recsys import"):
        get_dataset("ml-2m", Settings(home=tmp_path, _env_file=None))


def test_every_dataset_has_a_licence():
    for dataset_id, dataset in CATALOGUE.items():
        assert dataset.id == dataset_id
        assert dataset.licence
        assert dataset.domain in (*BUILT_IN_DOMAINS, "book")


def test_the_first_spelling_of_a_column_wins():
    anime = FORMATS["anime-2020"].file("anime.csv")
    assert anime.spellings(["Genders", "Genres", "Name"]) == {"Genres": "Genres", "Name": "Name"}
    assert anime.spellings(["Genders"]) == {"Genres": "Genders"}


@pytest.mark.parametrize(
    "dataset_id",
    ["ml-latest-small", "anime-recommendations-database", "anime-recommendation-database-2020", "myanimelist"],
)
def test_the_real_headers_have_all_columns(real_mirror, dataset_id):
    with zipfile.ZipFile(real_mirror / f"{dataset_id}.zip") as archive:
        members = {name.rpartition("/")[2]: name for name in archive.namelist()}
        for file in CATALOGUE[dataset_id].format.files:
            if not file.required and file.name not in members:
                continue
            with archive.open(members[file.name]) as packed:
                header = next(csv.reader(io.TextIOWrapper(packed, "utf-8")))
            assert list(file.spellings(header)) == [column.name for column in file.columns]
