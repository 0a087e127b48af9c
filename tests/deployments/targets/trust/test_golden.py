"""Golden samples as a card carries them: what they hold, and what is refused of them."""

import json
from typing import Any

import numpy as np
import pytest

from deployments.targets.errors import BadArtifact
from deployments.targets.trust.card import Card
from deployments.targets.trust.golden import ArrayText, Golden
from deployments.targets.trust.keys import KeyRing
from tests.deployments.targets.material import make_body, make_card, make_onnx, sign_body

TYPES = ("bool", "uint8", "int8", "uint16", "int16", "int32", "int64", "float32", "float64")


@pytest.fixture
def card(keys: KeyRing) -> Card:
    body = make_body(make_onnx(), {"edge": None})
    return make_card(body, sign_body(body, keys))


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("shape", [(3,), (2, 0), (2, 3, 4)])
def test_arrays_survive_the_trip(dtype: str, shape: tuple[int, ...]) -> None:
    array = np.random.default_rng(0).uniform(0, 100, shape).astype(dtype)
    text = ArrayText.model_validate_json(ArrayText.of(array).model_dump_json())
    found = text.read()
    assert (found.dtype, found.shape, text.size_bytes) == (array.dtype, array.shape, array.nbytes)
    np.testing.assert_array_equal(found, array)


def test_what_is_not_in_memory_as_it_is_written_survives_too() -> None:
    array = np.array([[1.5, np.nan], [np.inf, -0.0]], dtype=">f8").T
    np.testing.assert_array_equal(ArrayText.of(array).read(), array)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("golden",), None, "golden"),
        (("golden", "input", "dtype"), "float32", "must be 512 bytes"),
        (("golden", "input", "dtype"), "int8", r"golden input must be uint8 of shape \(1, 8, 8\)"),
        (("golden", "input", "dtype"), "object", "dtype"),
        (("golden", "input", "shape"), [2, 64], r"golden input must be uint8"),
        (("golden", "input", "shape"), [-2, -64], "greater than or equal to 0"),
        (("golden", "input", "shape"), [8, 1, 4, 4], "must be 1 to 4"),
        (("golden", "input", "shape"), [], "must be"),
        (("golden", "input", "data"), "####", "base64"),
        (("golden", "input", "data"), "", "must be 128 bytes.*got 0"),
        (("golden", "outputs"), {}, "outputs"),
        (("golden", "outputs", "label", "shape"), [1, 2], "must have 2 answers of label"),
        (("golden", "outputs", "label", "dtype"), "float64", "golden label must be int64"),
        (("golden", "outputs", "probabilities", "shape"), [2, 5, 2], "golden probabilities"),
        (("golden", "tolerance"), 0, "tolerance"),
        (("golden", "tolerance"), 1, "tolerance"),
        (("golden", "tolerance"), "NaN", "tolerance"),
        (("golden", "more"), 1, "more"),
    ],
)
def test_cards_with_samples_that_do_not_fit_are_refused(
    card: Card, path: tuple[str, ...], value: Any, message: str
) -> None:
    document = card.model_dump(mode="json")
    place = document
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = value
    with pytest.raises(BadArtifact, match=message):
        Card.parse(json.dumps(document).encode())


@pytest.mark.parametrize("change", ["absent", "other"])
def test_each_output_of_the_card_has_its_answers(card: Card, change: str) -> None:
    document = card.model_dump(mode="json")
    answers = document["golden"]["outputs"].pop("label")
    if change == "other":
        document["golden"]["outputs"]["score"] = answers
    with pytest.raises(BadArtifact, match=r"must have answers of \['label', 'probabilities'\]"):
        Card.parse(json.dumps(document).encode())


def test_several_samples_are_small_and_one_may_be_large() -> None:
    large = np.zeros((1, 300_000), dtype=np.uint8)
    answers = {"values": ArrayText.of(np.zeros(1, np.float32))}
    assert Golden(input=ArrayText.of(large), outputs=answers, tolerance=0.1).size_bytes > 2**18
    both = {"values": ArrayText.of(np.zeros(2, np.float32))}
    with pytest.raises(ValueError, match="at most 262144 bytes; got 600008; keep fewer"):
        Golden(input=ArrayText.of(large.repeat(2, 0)), outputs=both, tolerance=0.1)


@pytest.mark.parametrize("data", [b"", b"[]", b"{", b"\xff", b"{}"])
def test_what_is_no_golden(data: bytes) -> None:
    with pytest.raises(BadArtifact, match="run the recipe again"):
        Golden.parse(data)
