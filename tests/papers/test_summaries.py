"""The layers of the papers' networks, with the numbers of parameters that the papers print."""

import pytest
from small_world import random_likes, world_of

from recsys_dagster.models.registry import get_model_class
from recsys_dagster.papers.summaries import network_layers

WORLD = world_of(random_likes(30, 8))


def layers_of(name: str, **params: object) -> dict[str, int]:
    model = get_model_class(name)(get_model_class(name).params_type(epochs=1, **params), seed=1).fit(WORLD)
    return {layer.name: layer.parameters for layer in network_layers(model, WORLD)}


def test_an_embedding_network_has_its_embeddings_and_dense_layers() -> None:
    # 30 users and 8 items of 5 features; 10 · 100 + 100, 100 · 32 + 32, 32 · 4 + 4, 4 + 1.
    assert layers_of("embedding_mlp") == {
        "embedding 5": 8 * 5, "dense 100": 1_100, "dense 32": 3_232, "dense 4": 132, "dense 1": 5,
    }  # fmt: skip


@pytest.mark.parametrize("name", ["popularity", "als"])
def test_a_model_without_a_network_has_no_layers(name: str) -> None:
    assert network_layers(get_model_class(name)(seed=1).fit(WORLD), WORLD) == []


def test_the_layers_of_a_bilstm_are_the_papers_or_end_in_the_loss_over_vectors_that_it_shares() -> None:
    model_class = get_model_class("bilstm")
    small = {"units": 4, "sequence_length": 3}
    paper, tied = (
        dict(network_layers(model_class(model_class.params_type(**small, tied=tied)), WORLD)) for tied in (False, True)
    )
    # Each LSTM has 4 · units · (inputs + units + 1) weights, in both directions; 8 items and the padding.
    assert paper == {
        "embedding 100": 9 * 100, "bidirectional 8": 2 * 16 * 105, "bidirectional 4": 2 * 8 * 11, "dense 8": 4 * 8 + 8,
    }  # fmt: skip
    assert tied == {
        "embedding 4": 9 * 4, "bidirectional 8": 2 * 16 * 9, "bidirectional 4": 2 * 8 * 11, "sampledcrossentropy": 9,
    }  # fmt: skip
