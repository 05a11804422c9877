"""The sentence model that comes with the image."""

import math

import pytest

from selftrain.workers.embedding import load_embedder, model_folder

pytestmark = pytest.mark.engine


def dot(one: list[float], other: list[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


def test_texts_about_the_same_are_near_and_batches_change_nothing() -> None:
    embed = load_embedder()
    texts = ["Where do penguins live?", "Penguins live in Antarctica.", "8 plus 6 is 14.", "word " * 2000]
    asked, near, far, long = embed(texts)
    assert all(math.isclose(math.hypot(*vector), 1, rel_tol=1e-5) for vector in (asked, near, far, long))
    assert dot(asked, near) > 0.5 > dot(asked, far)
    many = embed(texts[:2] * 20)
    assert all(math.dist(one, other) < 1e-4 for one, other in zip(many, [asked, near] * 20, strict=True))


def test_only_weights_and_settings_are_read() -> None:
    names = {path.name for path in model_folder().iterdir() if path.is_file()}
    assert {"model.safetensors", "tokenizer.json", "config.json"} <= names
    assert not [name for name in names if name.endswith((".bin", ".pt", ".pkl"))]
