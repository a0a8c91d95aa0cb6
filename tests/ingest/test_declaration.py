"""A declaration is read as it is meant, and what is wrong with it is said in plain words."""

from pathlib import Path

import pytest

from recsys_dagster.ingest.declaration import DeclarationError, read_declaration

SOUND = {
    "domain": "domain: shop",
    "ratings": "ratings: {scale: [1, 5]}",
    "interactions": "interactions: {files: orders.csv, user: customer, item: sku, rating: stars}",
    "items": "items: {files: products.csv, item: sku, title: name}",
}


def declared(folder: Path, **lines: str) -> Path:
    path = folder / "shop.yaml"
    path.write_text("\n".join({**SOUND, **lines}.values()) + "\n", encoding="utf-8")
    return path


def fault(path: Path) -> str:
    with pytest.raises(DeclarationError) as raised:
        read_declaration(path)
    return str(raised.value).removeprefix(f"{path}: ")


def test_a_short_declaration_has_the_documented_defaults(tmp_path: Path) -> None:
    declaration = read_declaration(declared(tmp_path))
    assert (declaration.id, declaration.domain, declaration.scale) == ("shop", "shop", (1, 5))
    assert declaration.interactions.files == ("orders.csv",)
    assert not declaration.pseudonymise


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (
            {"domain": "domain: My Shop"},
            "domain: expected lower-case letters, digits and _, beginning with a letter, such as shop",
        ),
        ({"domain": "domain: 5"}, "domain: expected lower-case letters, digits and _, beginning with a letter"),
        ({"domain": ""}, "domain is missing"),
        ({"ratings": ""}, "ratings is missing"),
        (
            {"ratings": "ratings: explicit"},
            "ratings: expected {scale: [1, 5]} with the lowest and the highest rating, or the word implicit",
        ),
        ({"ratings": "ratings: [1, 5]"}, "ratings: expected {scale: [1, 5]} with the lowest and the highest"),
        (
            {"ratings": "ratings: {scale: 5}"},
            "ratings.scale: expected two numbers, the lowest and the highest rating, such as [1, 5]",
        ),
        (
            {"ratings": "ratings: {scale: [5, 1]}"},
            "ratings: scale: [5, 1]: the first number has to be",
        ),
        ({"ratings": "ratings: {scale: [1, x]}"}, "ratings.scale.1: expected two numbers"),
        (
            {"ratings": "ratings: {scael: [1, 5]}"},
            "ratings.scale is missing; ratings.scael is not a field",
        ),
        ({"ratings": "ratings: implicit"}, "ratings: give the scale, such as {scale: [1, 5]}, as interactions.rating"),
        (
            {"interactions": "interactions: orders.csv"},
            "interactions: expected fields such as `files: ratings.csv`, `user: customer` and `item: sku`",
        ),
        (
            {"interactions": "interactions: {files: a.csv, user: 1, item: no, rating: stars}"},
            'interactions.user: expected the name of a column, in quotes where it is a number, yes or no, such as "1"; '
            "interactions.item: expected the name of a column",
        ),
        (
            {"interactions": "interactions: {files: a.csv, usr: u, user: u, item: i, rating: r, delimiter: abcde}"},
            'interactions.delimiter: expected one to four characters in quotes, such as ";"; interactions.usr is not a '
            "field (did you mean user?)",
        ),
        (
            {"interactions": "interactions: {files: a.csv, user: u, item: i, rating: r, format: excel}"},
            "interactions.format: expected csv, jsonl or parquet",
        ),
        (
            {"items": "items: {files: a.csv, item: sku, genres: 7}"},
            "items.genres: expected the name of a column, {column: …, separator: …} for several values in a cell, or "
            "{flags: [column, column]}",
        ),
        (
            {"items": "items: {files: a.csv, item: sku, genres: {column: x, seperator: '|'}}"},
            "items.genres.seperator is not a field",
        ),
        (
            {"items": "items: {files: a.csv, item: sku, genres: {flags: []}}"},
            "items.genres.flags: expected a list of the names of columns",
        ),
        ({"items": "items: {files: a.csv, item: sku, year_in_title: maybe}"}, "items.year_in_title: expected true or"),
    ],
)
def test_a_fault_is_said_without_the_terms_of_the_library(tmp_path: Path, lines: dict[str, str], message: str) -> None:
    line = fault(declared(tmp_path, **lines))
    assert line.startswith(message)
    for term in ("Input", "String", "instance", "dictionary", "pattern", "literal", "tuple", "union", "ListColumn"):
        assert term not in line
    assert "\n" not in line


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "expected lines such as `id: shop`"),
        ("domain: [shop", "not readable as YAML"),
        ("id: other\n" + "\n".join(SOUND.values()), "id: other differs from the file's name; call it shop"),
    ],
)
def test_a_file_that_is_no_declaration(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "shop.yaml"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(DeclarationError) as raised:
        read_declaration(path)
    assert message in str(raised.value)
