"""Both ways of the protocol's tensors, held against an answer that is packed as it says."""

import json
import struct

import numpy as np
import pytest

from lepton_ai.client.client import Client
from lepton_ai.client.errors import BadAnswer
from lepton_ai.client.retries import Retries
from lepton_ai.client.tensors import LENGTH, decode_answer, encode_request
from tests.lepton_ai.client.scripted import Got, Reply, serve

KINDS = ["bool", "u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8", "f4", "f8"]


def echo(got: Got) -> Reply:
    """Answers a request with its own tensors, as raw bytes where it asked for these."""
    if got.path == "/v2":
        said = {"name": "t", "version": "1", "extensions": ["binary_tensor_data"]}
        return 200, {}, json.dumps(said).encode()
    length = got.headers.get(LENGTH)
    document = json.loads(got.body if length is None else got.body[: int(length)])
    said = {"model_name": "m", "model_version": "2", "outputs": document["inputs"]}
    head = json.dumps(said).encode()
    if length is None:
        return 200, {}, head
    assert document["parameters"] == {"binary_data_output": True}
    return 200, {LENGTH: str(len(head))}, head + got.body[int(length) :]


@pytest.mark.parametrize("binary", [False, True, None])
def test_every_datatype_comes_back_as_it_went(binary: bool | None) -> None:
    rng = np.random.default_rng(1)
    tensors = {kind: rng.integers(0, 2, (2, 3)).astype(kind) for kind in KINDS}
    tensors["f4"][0, 0] = np.nan
    tensors["big"] = np.array([[1.5, -2.5]], ">f8")
    with serve(echo) as server, Client(server.url) as client:
        got = client.infer("m", tensors, binary=binary)
        texts = client.infer("m", {"t": np.array([["a", "bé"]])}, binary=binary).outputs["t"]
        half = client.infer("m", {"h": np.ones(3, np.float16)}, binary=True).outputs["h"]
    for name, values in tensors.items():
        np.testing.assert_array_equal(got.outputs[name], values)
        assert got.outputs[name].dtype == values.dtype.newbyteorder("=")
    assert [text if isinstance(text, str) else text.decode() for text in texts[0]] == ["a", "bé"]
    assert half.dtype == np.float16
    assert sum(got.path == "/v2" for got in server.got) == (binary is None)


def test_a_server_that_is_busy_for_now_is_asked_again_whether_it_takes_bytes() -> None:
    busy = [True]

    def answer(got: Got) -> Reply:
        if got.path == "/v2" and busy and busy.pop():
            return 503, {}, b""
        return echo(got)

    tensors = {"x": np.ones(2, np.float32)}
    with serve(answer) as server, Client(server.url, retries=Retries(most=0)) as client:
        for _ in range(2):
            client.infer("m", tensors)
    sent = [LENGTH in got.headers for got in server.got if got.path != "/v2"]
    assert sent == [False, True]


def test_what_json_cannot_say_is_refused() -> None:
    with pytest.raises(ValueError, match="finite"):
        encode_request({"x": np.array([np.inf])})
    with pytest.raises(ValueError, match="float16"):
        encode_request({"x": np.array([1], np.float16)})
    with pytest.raises(TypeError, match="complex"):
        encode_request({"x": np.array([1j])})


@pytest.mark.parametrize(
    ("document", "tail"),
    [
        ({}, b""),
        ({"model_name": "m", "outputs": 3}, b""),
        ({"model_name": "m", "outputs": [{"name": "a", "datatype": "FP99", "shape": [1]}]}, b""),
        (
            {
                "model_name": "m",
                "outputs": [{"name": "a", "datatype": "FP32", "shape": [2], "data": [1]}],
            },
            b"",
        ),
        (
            {
                "model_name": "m",
                "outputs": [{"name": "a", "datatype": "UINT8", "shape": [1], "data": [300]}],
            },
            b"",
        ),
        (
            {
                "model_name": "m",
                "outputs": [
                    {
                        "name": "a",
                        "datatype": "BYTES",
                        "shape": [1],
                        "parameters": {"binary_data_size": 8},
                    }
                ],
            },
            struct.pack("<I", 99) + b"abcd",
        ),
        (
            {
                "model_name": "m",
                "outputs": [
                    {
                        "name": "a",
                        "datatype": "FP32",
                        "shape": [2],
                        "parameters": {"binary_data_size": 8},
                    }
                ],
            },
            b"1234",
        ),
    ],
)
def test_an_answer_that_breaks_the_protocol_is_refused(document: object, tail: bytes) -> None:
    head = json.dumps(document).encode()
    with pytest.raises(BadAnswer, match="Open Inference Protocol"):
        decode_answer(head + tail, str(len(head)))
