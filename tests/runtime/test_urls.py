"""Secrets are taken out of URLs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_dagster.runtime.urls import url_problem, with_suffix, without_secrets


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://host/a/ml.zip", "https://host/a/ml.zip"),
        ("https://user:secret@host:8443/a?token=secret#secret", "https://host:8443/a"),
        ("https://host/a?X-Amz-Signature=secret", "https://host/a"),
        ("https://secret@host", "https://host"),
        ("https://user:se/cret@host/a", "https://(hidden)"),
        ("https://user:12?secret@host/a", "https://(hidden)"),
        ("https://user:12#secret@host/a", "https://(hidden)"),
        ("http://exa mple:secret/", "http://(hidden)"),
        ("ftp://user:secret@host/a", "(hidden)"),
    ],
)
def test_user_name_password_query_and_fragment_are_removed(url: str, shown: str) -> None:
    assert without_secrets(url) == shown


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=12))
def test_no_password_however_it_is_written_remains(text: str) -> None:
    assert "S3CR" not in without_secrets(f"https://user:S3CR{text}3T@host.example/a")


@pytest.mark.parametrize(
    ("url", "suffix", "result"),
    [
        ("https://host/a/", "/ml.zip", "https://host/a/ml.zip"),
        ("https://host", "/ml.zip", "https://host/ml.zip"),
        ("https://u:p@host/a?token=x&y=1", "/ml.zip", "https://u:p@host/a/ml.zip?token=x&y=1"),
        ("https://host/ml.zip?token=x", ".md5", "https://host/ml.zip.md5?token=x"),
    ],
)
def test_a_suffix_goes_in_front_of_the_query(url: str, suffix: str, result: str) -> None:
    assert with_suffix(url, suffix) == result


@pytest.mark.parametrize("url", ["https://", "http://:80", "https://host:99999/", "https://[::1", "https://a b/"])
def test_unusable_urls_have_a_problem(url: str) -> None:
    assert url_problem(url) is not None
