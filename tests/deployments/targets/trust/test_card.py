import json
from typing import Any

import pytest

from deployments.targets.errors import BadArtifact
from deployments.targets.specs import TargetSpec
from deployments.targets.trust.card import Card, InputSpec
from deployments.targets.trust.keys import KeyRing
from tests.deployments.targets.material import make_body, make_card, make_onnx, sign_body

LABEL: dict[str, Any] = {"name": "label", "dtype": "int64", "meaning": "label", "labels": ["a"]}


@pytest.fixture
def card(keys: KeyRing) -> Card:
    body = make_body(make_onnx(), {"edge": None})
    return make_card(body, sign_body(body, keys))


def test_card_survives_the_trip(card: Card) -> None:
    assert Card.parse(card.to_bytes()) == card
    assert json.loads(card.to_bytes())["input"]["value_range"] == [0, 16]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 1}, "format 2; got 1; run the recipe again"),
        ({"format": 3}, "newer Lepton"),
        ({"model_id": "x"}, "model_id"),
        ({"outputs": []}, "outputs"),
        ({"labels": []}, "labels"),
        ({"outputs": [LABEL | {"labels": ["a", "a"]}]}, "unique"),
        ({"outputs": [LABEL | {"labels": []}]}, "name each label"),
        ({"outputs": [LABEL, LABEL]}, "different names"),
        (
            {"outputs": [LABEL | {"meaning": "probabilities", "shape": [2]}]},
            "name each of 2 places; got 1",
        ),
        (
            {
                "input": {
                    "form": "image",
                    "name": "image",
                    "dtype": "object",
                    "shape": [1],
                    "value_range": [0, 1],
                }
            },
            "dtype",
        ),
        (
            {
                "input": {
                    "form": "image",
                    "name": "image",
                    "dtype": "uint8",
                    "shape": [0],
                    "value_range": [0, 1],
                }
            },
            "shape",
        ),
        (
            {
                "input": {
                    "form": "image",
                    "name": "image",
                    "dtype": "uint8",
                    "shape": [1],
                    "value_range": [1, 1],
                }
            },
            "low < high",
        ),
        ({"artifact": {"name": "a", "file": "../a.onnx", "sha256": "0" * 64}}, "file"),
        ({"extra": 1}, "extra"),
    ],
)
def test_bad_cards_are_named(card: Card, change: dict[str, Any], message: str) -> None:
    document = {**card.model_dump(mode="json"), **change}
    with pytest.raises(BadArtifact, match=message):
        Card.parse(json.dumps(document).encode())


@pytest.mark.parametrize("data", [b"", b"[]", b"null", b"{", b"\xff\xfe", b"[" * 100_000])
def test_what_is_no_card(data: bytes) -> None:
    with pytest.raises(BadArtifact):
        Card.parse(data)


def test_specs_are_frozen_and_checked() -> None:
    assert TargetSpec(prefer=("int8", "fp32")).prefer == ("int8", "fp32")
    with pytest.raises(ValueError, match="prefer"):
        TargetSpec(prefer=())
    with pytest.raises(ValueError, match="max_latency"):
        TargetSpec.model_validate({"max_latency": 5})
    with pytest.raises(ValueError, match="frozen"):
        InputSpec(form="image", name="x", dtype="uint8", shape=(1,)).name = "other"
