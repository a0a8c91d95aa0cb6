"""Swap a built file in, restore the previous one, and set aside what other programs leave next to them."""

import os
from pathlib import Path

import pytest
from small_publication import provenance, publish_small

from recsys_dagster.errors import RecsysError
from recsys_dagster.runtime.layout import Layout
from recsys_dagster.serving.lookup import PublishedFile
from recsys_dagster.serving.swap import has_previous, restore_previous, swap_in


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path)


def publish_version(layout: Layout, version: str) -> None:
    publish_small(layout.built("anime"), provenance=provenance(version))
    swap_in(layout.built("anime"), layout.published("anime"), layout.previous("anime"))


def version_of(path: Path) -> str:
    with PublishedFile(path) as lists:
        return lists.provenance().version


def test_the_previous_file_is_kept_and_can_be_restored_once(layout: Layout) -> None:
    for version in ("one", "two", "three"):
        publish_version(layout, version)
    assert not layout.built("anime").exists()
    assert (version_of(layout.published("anime")), version_of(layout.previous("anime"))) == ("three", "two")
    restore_previous(layout.published("anime"), layout.previous("anime"))
    assert version_of(layout.published("anime")) == "two"
    with pytest.raises(RecsysError, match="there are no previous lists"):
        restore_previous(layout.published("anime"), layout.previous("anime"))
    assert version_of(layout.published("anime")) == "two"


def test_after_the_first_publication_there_is_no_previous_file(layout: Layout) -> None:
    publish_version(layout, "one")
    assert not has_previous(layout.published("anime"), layout.previous("anime"))


def test_a_swap_killed_halfway_leaves_the_published_file_and_no_false_previous_one(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    for version in ("one", "two"):
        publish_version(layout, version)
    whole_replace = os.replace

    def die_before_publishing(source: Path, target: Path) -> None:
        if target == layout.published("anime"):
            raise KeyboardInterrupt
        whole_replace(source, target)

    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", die_before_publishing)
        with pytest.raises(KeyboardInterrupt):
            publish_version(layout, "three")
    assert version_of(layout.published("anime")) == "two"
    assert not has_previous(layout.published("anime"), layout.previous("anime"))
    publish_version(layout, "three")
    assert version_of(layout.previous("anime")) == "two"
