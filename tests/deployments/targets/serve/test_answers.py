"""What is answered, to whom, and by which names a model is asked."""

import io
import threading
import time
from typing import Any

import numpy as np
import orjson
import pytest
from PIL import Image

from deployments.targets.errors import SpoolError
from deployments.targets.serve.recorder import CountingRecorder
from deployments.targets.trust.card import Card
from tests.deployments.targets.run.forms.test_rows import SERIES
from tests.deployments.targets.run.forms.test_rows import make_card as make_row_card
from tests.deployments.targets.serve.asking import Held, Node, make_live

DIGIT = np.arange(64, dtype=np.uint8).reshape(8, 8) % 17


def write_npy(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def write_picture(kind: str) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(DIGIT * 15).save(stream, kind)
    return stream.getvalue()


def make_tensor(**changes: object) -> dict[str, Any]:
    data = {"name": "image", "shape": [1, 1, 8, 8], "datatype": "UINT8", "data": DIGIT.tolist()}
    return {**data, "data": DIGIT.reshape(-1).tolist(), **changes}


def test_answer_names_model_and_answer(pictures: Node, card: Card) -> None:
    reply = pictures.post("/predict/digits?name=x.npy", write_npy(DIGIT))
    assert (reply.status, reply.headers[b"content-type"]) == (200, b"application/json")
    said = reply.json
    assert list(said) == ["model_id", "answer_id", "predictions"]
    assert said["model_id"] == card.model_id
    assert said["answer_id"] == f"{pictures.recorder.node}:1"
    expected = pictures.held.current
    answers = expected.answer(DIGIT[None, None])
    (told,) = expected.tell(answers, file="x.npy")
    assert said["predictions"] == [orjson.loads(told.to_json())]


def test_the_same_sample_is_answered_alike_whatever_it_comes_as(pictures: Node) -> None:
    bodies = [write_npy(DIGIT), orjson.dumps(DIGIT.tolist()), orjson.dumps([DIGIT.tolist()])]
    kinds = ["application/x-npy", "application/json", "application/json; charset=utf-8"]
    said = [
        pictures.post("/predict/digits", body, kind).json["predictions"]
        for body, kind in [*zip(bodies, kinds, strict=True), *((body, "") for body in bodies)]
    ]
    assert all(found == said[0] for found in said)


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_pictures_are_known_by_their_first_bytes(pictures: Node, kind: str) -> None:
    reply = pictures.post(
        "/predict/digits", write_picture(kind), "application/x-www-form-urlencoded"
    )
    assert reply.status == 200, reply.body


def test_rows_are_answered_alike_as_csv_and_json(rows: Node) -> None:
    objects = [{"speed": 1, "wear": 2.5, "grade": "L"}, {"speed": -3, "wear": None, "grade": "H"}]
    text = b"speed,wear,grade\n1,2.5,L\n-3,,H\n"
    said = [
        rows.post("/predict/x", text, "text/csv").json,
        rows.post("/predict/x", objects, "application/json").json,
        rows.post("/predict/x", text).json,
        rows.post("/predict/x", objects).json,
    ]
    assert [found["answer_id"].rpartition(":")[2] for found in said] == ["1", "3", "5", "7"]
    assert all(found["predictions"] == said[0]["predictions"] for found in said)
    assert [row["row"] for row in said[0]["predictions"]] == [0, 1]
    assert rows.post("/predict/x", objects[0]).json["predictions"][0]["value"] == 4.5


def test_a_category_that_was_not_learned_is_said_and_counted(rows: Node) -> None:
    asked = [{"speed": 1, "wear": 2.5, "grade": grade} for grade in ("L", "X", None, "Y")]
    said = rows.post("/predict/x", asked).json["predictions"]
    assert [row.get("note", "")[:10] for row in said] == ["", "grade: 'X'", "", "grade: 'Y'"]
    assert said[1]["value"] == said[2]["value"]
    assert rows.get("/health").json["noted_answers"] == 2


def test_a_model_is_asked_by_any_of_its_names(pictures: Node, card: Card) -> None:
    for name in ("digits", "cloud", card.model_id, card.model_id[:12]):
        assert pictures.post(f"/predict/{name}", write_npy(DIGIT)).status == 200
        assert pictures.get(f"/v2/models/{name}").json["name"] == name
    for name in ("other", card.model_id[:11], "", "digits/x"):
        reply = pictures.post(f"/predict/{name}", write_npy(DIGIT))
        assert reply.status == 404
        assert set(reply.json) == {"error"}


def test_the_model_before_is_asked_by_its_id(card: Card) -> None:
    older = card.model_copy(update={"model_id": "e" * 64})
    node = Node(Held(make_live(card, 2), make_live(older)))
    body = {"inputs": [make_tensor()]}
    assert node.get("/v2/models/digits").json["versions"] == [card.model_id, older.model_id]
    for path in (f"/v2/models/digits/versions/{older.model_id}", f"/v2/models/{'e' * 12}"):
        assert node.post(path + "/infer", body).json["model_version"] == older.model_id
    assert node.post("/v2/models/digits/infer", body).json["model_version"] == card.model_id
    assert node.post(f"/v2/models/digits/versions/{'d' * 64}/infer", body).status == 404


def test_infer_repeats_the_id_and_names_the_answer(pictures: Node, card: Card) -> None:
    reply = pictures.post("/v2/models/digits/infer", {"id": "42", "inputs": [make_tensor()]})
    assert reply.status == 200, reply.body
    said = reply.json
    assert (said["model_name"], said["model_version"], said["id"]) == (
        "digits",
        card.model_id,
        "42",
    )
    assert said["parameters"] == {"answer_id": f"{pictures.recorder.node}:1"}
    answers = pictures.held.current.answer(DIGIT[None, None])
    for given, output in zip(said["outputs"], card.outputs, strict=True):
        array = answers.arrays[output.name]
        assert (given["name"], given["shape"]) == (output.name, list(array.shape))
        np.testing.assert_array_equal(given["data"], array.reshape(-1))
    assert [given["datatype"] for given in said["outputs"]] == ["INT64", "FP32"]
    assert "id" not in pictures.post("/v2/models/digits/infer", {"inputs": [make_tensor()]}).json


def test_infer_gives_the_outputs_that_are_asked_for(pictures: Node) -> None:
    for names in (["probabilities"], ["probabilities", "label"]):
        body = {"inputs": [make_tensor()], "outputs": [{"name": name} for name in names]}
        said = pictures.post("/v2/models/digits/infer", body).json
        assert [given["name"] for given in said["outputs"]] == names
    nested = {"inputs": [make_tensor(data=[[DIGIT.tolist()]])], "outputs": []}
    assert len(pictures.post("/v2/models/digits/infer", nested).json["outputs"]) == 2


def test_rows_of_a_tensor_take_a_number_each(rows: Node) -> None:
    tensor = {"name": "row", "shape": [2, 3], "datatype": "FP64", "data": [1, 2, None, 4, 5, 0]}
    body = {"inputs": [tensor]}
    said = [rows.post("/v2/models/x/infer", body).json for _ in range(2)]
    ids = [given["parameters"]["answer_id"] for given in said]
    assert ids == [f"{rows.recorder.node}:1", f"{rows.recorder.node}:3"]
    assert said[0]["outputs"][0]["data"] == [3.0, 9.0]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"datatype": "FP32"}, "datatype of input image must be UINT8"),
        ({"shape": [1, 8, 8]}, "must be ['N', 1, 8, 8]"),
        ({"shape": [0, 1, 8, 8], "data": []}, "N >= 1"),
        ({"shape": [-1, 1, 8, 8]}, "N >= 1"),
        ({"shape": [2, 1, 8, 8]}, "must be 128 numbers"),
        ({"shape": [10**9, 1, 8, 8]}, "at most 10000"),
        ({"data": [1]}, "must be 64 numbers"),
        ({"data": 1}, "must be 64 numbers"),
        ({"data": ["1"] * 64}, "nested lists of numbers"),
        ({"data": [1.5] * 64}, "whole numbers"),
        ({"data": [300] * 64}, "within 0..16"),
        ({"data": [-1] * 64}, "within 0..16"),
        ({"data": [17] * 64}, "within 0..16"),
        ({"data": [True] * 64}, "must be numbers"),
        ({"data": [[1], [1, 2]]}, "of one shape"),
        ({"data": [None] * 64}, "whole numbers"),
        ({"name": "other"}, "inputs must be image alone"),
    ],
)
def test_infer_refuses_what_the_card_does_not_describe(
    pictures: Node, changes: dict[str, object], says: str
) -> None:
    reply = pictures.post("/v2/models/digits/infer", {"inputs": [make_tensor(**changes)]})
    assert reply.status in (400, 413)
    assert says in reply.json["error"]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"{", "must be JSON"),
        (b"\xff\xfe", "must be JSON"),
        ([], "must follow the protocol"),
        ({}, "inputs: Field required"),
        ({"inputs": []}, "got none"),
        ({"inputs": [make_tensor()] * 2}, "got image, image"),
        ({"inputs": [make_tensor()], "outputs": [{"name": "x"}]}, "label, probabilities; got x"),
        ({"inputs": [make_tensor()], "id": 7}, "id: Input should be a valid string"),
    ],
)
def test_infer_refuses_what_is_no_request(pictures: Node, body: object, says: str) -> None:
    reply = pictures.post("/v2/models/digits/infer", body)
    assert reply.status == 400
    assert says in reply.json["error"]


def test_an_input_without_an_answer_is_the_askers_fault(rows: Node) -> None:
    body = {"speed": 1e308, "wear": 1e308, "grade": "H"}
    reply = rows.post("/predict/x", body)
    assert (reply.status, "has an answer to" in reply.json["error"]) == (422, True)


def test_an_answer_that_cannot_be_recorded_is_not_given(card: Card) -> None:
    class Full(CountingRecorder):
        async def record(self, *_: object) -> str:
            raise SpoolError("spool (/secret/path) must have room; got none")

    reply = Node(Held(make_live(card)), recorder=Full(None)).post(
        "/predict/digits", write_npy(DIGIT)
    )
    assert (reply.status, reply.headers[b"retry-after"]) == (503, b"1")
    assert b"/secret/path" not in reply.body


def test_a_request_is_answered_by_the_model_that_took_it(card: Card) -> None:
    started, go_on = threading.Event(), threading.Event()

    def wait() -> None:
        started.set()
        assert go_on.wait(5)

    older = card.model_copy(update={"model_id": "e" * 64})
    node = Node(Held(make_live(older, on_call=wait)))
    said: list[Any] = []
    asking = threading.Thread(
        target=lambda: said.append(node.post("/predict/digits", write_npy(DIGIT)).json)
    )
    asking.start()
    assert started.wait(5)
    node.held.current, node.held.previous = make_live(card, 2), node.held.current
    assert node.get("/v2/models/digits").json["versions"][0] == card.model_id
    go_on.set()
    asking.join(5)
    assert (said[0]["model_id"], said[0]["predictions"][0]["model_id"]) == ("e" * 64,) * 2


def test_the_loop_goes_on_while_a_model_computes(card: Card) -> None:
    import asyncio

    from tests.deployments.targets.serve.asking import call

    node = Node(Held(make_live(card, on_call=lambda: time.sleep(0.3))))

    async def ask_both() -> tuple[float, int]:
        scope: dict[str, Any] = {
            "type": "http",
            "method": "POST",
            "path": "/predict/digits",
            "query_string": b"",
            "headers": [],
        }
        slow = asyncio.create_task(call(node.app, scope, [write_npy(DIGIT)]))
        began, turns = time.monotonic(), 0
        while not slow.done():
            await asyncio.sleep(0.001)
            turns += 1
        return time.monotonic() - began, turns

    took_s, turns = asyncio.run(ask_both())
    assert took_s >= 0.3
    assert turns > 20


def test_windows_are_recorded_with_their_times() -> None:
    seen: list[Any] = []

    class Watching(CountingRecorder):
        async def record(self, live: Any, raw: Any, answers: Any, times: Any) -> str:
            seen.append(times)
            return await super().record(live, raw, answers, times)

    card = make_row_card(SERIES)
    node = Node(Held(make_live(card)), recorder=Watching(None))
    start = 1_457_049_600.0
    text = b"flow,when\n1,04/03/2016 00:00\n2,04/03/2016 00:05\n"
    window = {"name": "window", "shape": [1, 2, 2], "datatype": "FP64"}
    tensor = {**window, "data": [1, start, 2, start + 300]}
    assert node.post("/predict/x", text, "text/csv").status == 200
    assert node.post("/v2/models/x/infer", {"inputs": [tensor]}).status == 200
    for times in seen:
        np.testing.assert_array_equal(times, [[start, start + 300]])
    assert len(seen) == 2
