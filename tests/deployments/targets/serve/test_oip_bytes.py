"""Tensors as bytes: what goes in and comes out is what JSON says, and what is not whole is said."""

from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deployments.targets.serve.oip_bytes import read_bytes, split_body
from deployments.targets.serve.replies import Refusal
from tests.deployments.targets.run.forms.test_rows import TABLE
from tests.deployments.targets.run.forms.test_rows import make_card as make_row_card
from tests.deployments.targets.serve.asking import Held, Node, Reply, make_live
from tests.deployments.targets.serve.test_answers import DIGIT, make_tensor

LENGTH = "inference_header_content_length"


def ask(node: Node, document: dict[str, Any], tail: bytes, **headers: str) -> Reply:
    text = orjson.dumps(document)
    stated = {LENGTH: str(len(text)), **headers}
    return node.post("/v2/models/x/infer", text + tail, "application/octet-stream", **stated)


def make_bytes(**changes: object) -> dict[str, Any]:
    given = {"name": "row", "shape": [2, 3], "datatype": "FP64"}
    return {**given, "parameters": {"binary_data_size": 48}, **changes}


ROWS = np.array([[1, 2, np.nan], [4, 5, 0]])


def open_outputs(reply: Reply) -> dict[str, np.ndarray]:
    """What the protocol says of a body, read without a line of the server's."""
    length = int(reply.headers[b"inference-header-content-length"])
    said, tail = orjson.loads(reply.body[:length]), reply.body[length:]
    types = {"FP32": "<f4", "INT64": "<i8", "FP64": "<f8"}
    found = {}
    for output in said["outputs"]:
        dtype = types[output["datatype"]]
        if "data" in output:
            found[output["name"]] = np.array(output["data"], dtype)
            continue
        size_bytes = output["parameters"]["binary_data_size"]
        part, tail = tail[:size_bytes], tail[size_bytes:]
        found[output["name"]] = np.frombuffer(part, dtype).reshape(output["shape"])
    assert tail == b""
    return found


def test_bytes_are_answered_as_json_is(rows: Node) -> None:
    data = [None if np.isnan(value) else value for value in ROWS.reshape(-1).tolist()]
    tensor = {"name": "row", "shape": [2, 3], "datatype": "FP64", "data": data}
    plain = rows.post("/v2/models/x/infer", {"inputs": [tensor]}).json
    sent = ask(rows, {"inputs": [make_bytes()], "id": "7"}, ROWS.tobytes())
    assert sent.status == 200, sent.body
    assert sent.json["outputs"] == plain["outputs"]
    assert sent.headers[b"content-type"] == b"application/json"
    whole = ask(
        rows,
        {"inputs": [make_bytes()], "id": "7", "parameters": {"binary_data_output": True}},
        ROWS.tobytes(),
    )
    assert whole.headers[b"content-type"] == b"application/octet-stream"
    found = open_outputs(whole)
    for output in plain["outputs"]:
        np.testing.assert_array_equal(found[output["name"]].reshape(-1), output["data"])


def test_each_output_says_whether_it_is_bytes(pictures: Node) -> None:
    for usual in (True, False):
        document = {
            "inputs": [make_tensor()],
            "parameters": {"binary_data_output": usual},
            "outputs": [
                {"name": "probabilities", "parameters": {"binary_data": True}},
                {"name": "label", "parameters": {"binary_data": False}},
            ],
        }
        reply = pictures.post("/v2/models/digits/infer", document)
        length = int(reply.headers[b"inference-header-content-length"])
        first, second = orjson.loads(reply.body[:length])["outputs"]
        assert (first["parameters"], "data" in first) == ({"binary_data_size": 40}, False)
        assert ("data" in second, "parameters" in second) == (True, False)
        assert len(reply.body) == length + 40


def test_a_picture_is_sent_as_bytes(pictures: Node) -> None:
    tensor = {
        "name": "image",
        "shape": [1, 1, 8, 8],
        "datatype": "UINT8",
        "parameters": {"binary_data_size": 64},
    }
    text = orjson.dumps({"inputs": [tensor]})
    stated = {LENGTH: str(len(text))}
    path = "/v2/models/digits/infer"
    sent = pictures.post(path, text + DIGIT.tobytes(), **stated)
    plain = pictures.post(path, {"inputs": [make_tensor()]})
    assert sent.json["outputs"] == plain.json["outputs"]
    outside = (DIGIT + 200).astype(np.uint8).tobytes()
    refused = pictures.post(path, text + outside, **stated)
    assert (refused.status, "within 0..16" in refused.json["error"]) == (400, True)


@pytest.mark.parametrize(
    ("changes", "tail", "says"),
    [
        ({}, ROWS.tobytes()[:-1], "got 47 bytes"),
        ({}, ROWS.tobytes() + b"x", "got 49 bytes"),
        ({}, b"", "got 0 bytes"),
        ({"parameters": {"binary_data_size": 40}}, ROWS.tobytes()[:40], "must be 48 bytes; got 40"),
        ({"data": [1] * 6}, ROWS.tobytes(), "send one of both"),
        ({"parameters": {}}, ROWS.tobytes(), "(None); got 48 bytes"),
        ({"parameters": {}}, b"", "(None); got 0 bytes and no data"),
        ({"parameters": {"binary_data_size": -1}}, b"", "binary_data_size"),
        ({"datatype": "FP32"}, ROWS.tobytes(), "must be FP64"),
        ({"datatype": "BYTES"}, ROWS.tobytes(), "must be FP64"),
        ({}, np.full((2, 3), np.inf).tobytes(), "raw values within"),
    ],
)
def test_bytes_that_are_not_the_tensor_are_refused(
    rows: Node, changes: dict[str, object], tail: bytes, says: str
) -> None:
    reply = ask(rows, {"inputs": [make_bytes(**changes)]}, tail)
    assert (reply.status, says in reply.json["error"]) == (400, True), reply.body


@pytest.mark.parametrize("stated", ["0", "-1", "1e3", "", "9" * 30, "100000", "x"])
def test_a_length_of_no_part_of_the_body_is_refused(rows: Node, stated: str) -> None:
    headers = {LENGTH: stated}
    reply = ask(rows, {"inputs": [make_bytes()]}, ROWS.tobytes(), **headers)
    assert (reply.status, "must be the length of the JSON" in reply.json["error"]) == (400, True)


@given(st.binary(max_size=40), st.one_of(st.none(), st.integers(-3, 60)))
@settings(max_examples=60, deadline=None)
def test_a_body_is_split_whole_or_refused(data: bytes, length: int | None) -> None:
    stated = None if length is None else str(length).encode()
    if length is not None and not 0 < length <= len(data):
        with pytest.raises(Refusal, match="length of the JSON"):
            split_body(data, stated)
        return
    text, tail = split_body(data, stated)
    assert text + tail == data
    assert len(text) == (len(data) if length is None else length)


def test_truth_values_are_bytes_of_0_and_1() -> None:
    np.testing.assert_array_equal(read_bytes(b"\1\0", "bool", (2,), "x"), [True, False])
    with pytest.raises(Refusal, match="bytes of 0 and 1"):
        read_bytes(b"\1\2", "bool", (2,), "x")


def test_a_model_is_asked_by_the_number_of_its_release() -> None:
    card = make_row_card(TABLE)
    older = card.model_copy(update={"model_id": "e" * 64})
    node = Node(Held(make_live(card, 12), make_live(older, 11)))
    for number, model_id in ((12, card.model_id), (11, older.model_id)):
        path = f"/v2/models/x/versions/{number}/infer"
        tensor = {"name": "row", "shape": [1, 3], "datatype": "FP64", "data": [1, 2, 0]}
        assert node.post(path, {"inputs": [tensor]}).json["model_version"] == model_id
    assert node.get("/v2/models/x/versions/10").status == 404
