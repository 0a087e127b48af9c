"""Hostile records: cards, golden samples, receipts, roots, bundles of keys, batches' files."""

import json
from typing import Any

import numpy as np

from deployments.targets.trust.golden import ArrayText
from deployments.targets.trust.keys import KeyRing
from deployments.targets.trust.tensors import pack_tensors
from tests.deployments.targets.hostile import PICKLE
from tests.deployments.targets.material import make_body, make_card, make_onnx, sign_body

DEEP = b"[" * 500_000
DEEP_OBJECT = b'{"a":' * 500_000


def make_files(ring: KeyRing) -> dict[str, bytes]:
    """Makes all of them; the honest ones between them must be accepted."""
    return {**_make_cards(ring), **_make_sealed(ring), **make_tensors()}


def _make_cards(ring: KeyRing) -> dict[str, bytes]:
    body = make_body(make_onnx(1), {"edge": None})
    card = make_card(body, sign_body(body, ring))
    document = card.model_dump(mode="json")

    def change(*path: str, to: Any) -> bytes:
        changed = json.loads(json.dumps(document))
        place = changed
        for name in path[:-1]:
            place = place[name]
        place[path[-1]] = to
        return json.dumps(changed).encode()

    def answer(value: float) -> bytes:
        wrong = np.full((2, 10), value, np.float32)
        text = ArrayText.of(wrong).model_dump(mode="json")
        return change("golden", "outputs", "probabilities", to=text)

    empty = {"dtype": "float32", "shape": [2, 0, 2**62], "data": ""}
    return {
        "honest.card": card.to_bytes(),
        "pickle.card": PICKLE,
        "deep.card": DEEP,
        "deep_in_a_field.card": change("input", "details", to={}).replace(
            b'"details": {}', b'"details": {"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"
        ),
        "number_of_a_million_digits.card": b'{"format": ' + b"9" * 1_000_000 + b"}",
        "text_of_ten_million_letters.card": change("name", to="x" * 10_000_000)[:-1],
        "file_that_climbs.card": change("artifact", "file", to="../../was-run"),
        "file_of_the_system.card": change("artifact", "file", to="/etc/cron.d/was-run"),
        "sample_of_absurd_shape.card": change("input", "shape", to=[2**40, 2**40]),
        "golden_answers_that_are_no_numbers.card": answer(np.nan),
        "golden_answers_without_end.card": answer(np.inf),
        "golden_answers_of_absurd_shape.card": change(
            "golden", "outputs", "probabilities", to=empty
        ),
        "golden_answers_of_another_model.card": answer(0.1),
        "a_million_outputs.card": change("outputs", to=[[]] * 1_000_000),
        "absurd_shape.golden": json.dumps(
            {"input": empty | {"shape": [1, 2**62, 0]}, "outputs": {"a": empty}, "tolerance": 0.1}
        ).encode(),
        "deep.golden": DEEP,
    }


def _make_sealed(ring: KeyRing) -> dict[str, bytes]:
    honest = sign_body(make_body(make_onnx(1), {"edge": None}), ring)
    doubled = honest.replace(b'"signed":{', b'"signed":{"format":2,', 1)
    return {
        "by_a_stranger.receipt": honest,
        "deep.receipt": DEEP,
        "deep_object.receipt": DEEP_OBJECT,
        "of_nine_million_bytes.receipt": honest + b" " * 9_000_000,
        "key_twice.receipt": doubled,
        "no_number.receipt": b'{"signatures":[],"signed":{"format":NaN}}',
        "half_a_letter.receipt": b'{"signatures":[],"signed":{"format":"\\ud800"}}',
        "pickle.receipt": PICKLE,
        "deep.root": DEEP,
        "deep_object.root": DEEP_OBJECT,
        "pickle.root": PICKLE,
        "list.root": b"[]",
        "version_of_a_million_digits.root": b'{"signed": {"version": ' + b"9" * 1_000_000 + b"}}",
        "deep.keys": DEEP,
        "pickle.keys": PICKLE,
        "key_that_climbs.keys": b'{"format": 1, "private": {"channels": {"../../x": {}}}}',
    }


def make_tensors() -> dict[str, bytes]:
    """Safetensors files, one of them honest."""

    def lay_out(header: bytes, content: bytes = b"\0" * 8) -> bytes:
        return len(header).to_bytes(8, "little") + header + content

    def entry(dtype: str = "F32", shape: str = "[2]", first: int = 0, last: int = 8) -> bytes:
        return (
            f'{{"__metadata__":{{"a":"b"}},"x":{{"data_offsets":[{first},{last}],'
            f'"dtype":"{dtype}","shape":{shape}}}}}'
        ).encode()

    twice = entry()[:-1] + b"," + entry()[len(b'{"__metadata__":{"a":"b"},') :]
    layouts: dict[str, bytes] = {
        "honest": pack_tensors({"a": "b"}, {"x": np.zeros(2, np.float32)}),
        "pickle": PICKLE,
        "zip": b"PK\x03\x04" * 100,
        "header_beyond_the_file": (2**63).to_bytes(8, "little") + b"{}",
        "header_of_100_mb": (100 * 2**20).to_bytes(8, "little") + b"{}",
        "deep": lay_out(DEEP),
        "shape_of_absurd_size": lay_out(entry(shape="[1099511627776,1099511627776]")),
        "shape_that_wraps_around": lay_out(entry(shape="[4294967296,4294967296]")),
        "shape_below_nothing": lay_out(entry(shape="[-2]")),
        "dtype_of_objects": lay_out(entry(dtype="O")),
        "tensor_beyond_the_file": lay_out(entry(last=800)),
        "tensor_that_overlaps_the_header": lay_out(entry(first=-8, last=0)),
        "tensor_twice": lay_out(twice),
        "name_that_climbs": lay_out(entry().replace(b'"x"', b'"../../was-run"')),
        "bytes_behind": lay_out(entry(), b"\0" * 4096),
    }
    return {f"{name}.safetensors": data for name, data in layouts.items()}
