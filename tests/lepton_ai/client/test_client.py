"""The client against a node's own application, behind a real socket."""

import asyncio
from pathlib import Path

import numpy as np
import pytest

from lepton_ai.client.async_client import AsyncClient
from lepton_ai.client.client import Client
from lepton_ai.client.errors import BadAnswer, RequestRefused
from storage.base.store import Store
from tests.deployments.targets.run.forms.test_rows import TABLE
from tests.deployments.targets.run.forms.test_rows import make_card as make_row_card
from tests.deployments.targets.serve.asking import Held, Node, make_live
from tests.lepton_ai.client.scripted import Got, Reply, serve

ROW = {"speed": 1.5, "wear": 2.0, "grade": "L"}


def forward(node: Node):
    """Gives a request to an application, as it came."""

    def answer(got: Got) -> Reply:
        headers = {name.replace("-", "_"): text for name, text in got.headers.items()}
        reply = node.send(got.method, got.path, [got.body], **headers)
        named = {
            name.decode(): text.decode()
            for name, text in reply.headers.items()
            if name != b"content-length"
        }
        return reply.status, named, reply.body

    return answer


@pytest.fixture
def rows(tmp_path: Path) -> Node:
    return Node(Held(make_live(make_row_card(TABLE))), Store(str(tmp_path / "workspace")))


def test_rows_files_and_arrays_are_asked_alike(rows: Node, tmp_path: Path) -> None:
    file = tmp_path / "a b&c.csv"
    file.write_text("speed,wear,grade\n1.5,2.0,L\n")
    with serve(forward(rows)) as server, Client(server.url) as client:
        name = rows.held.current.card.name
        answers = [
            client.predict(name, ROW),
            client.predict(name, [ROW]),
            client.predict(name, {**ROW, "speed": np.float64(1.5)}),
            client.predict(name, file.read_bytes()),
            client.predict(name, file),
        ]
        first = answers[0]
        assert first.model_id == rows.held.current.model_id
        assert len({answer.answer_id for answer in answers}) == 5
        said = [answer.predictions[0].outputs for answer in answers]
        assert said[0]
        assert all(each == said[0] for each in said)
        assert answers[4].predictions[0].file == str(file)


def test_a_missing_number_and_an_array_go_as_they_are(rows: Node) -> None:
    with serve(forward(rows)) as server, Client(server.url) as client:
        name = rows.held.current.card.name
        missing = client.predict(name, {**ROW, "wear": float("nan")})
        array = client.predict(name, np.array([[1.5, np.nan, 1.0]]))
        assert missing.predictions[0].outputs == array.predictions[0].outputs
        with pytest.raises(ValueError, match=r"JSON|compliant"):
            client.predict(name, {**ROW, "wear": float("inf")})
        with pytest.raises(TypeError, match="data must be a path"):
            client.predict(name, 7)  # type: ignore[arg-type]


def test_what_a_node_refuses_is_said_in_its_words(rows: Node) -> None:
    with serve(forward(rows)) as server, Client(server.url) as client:
        with pytest.raises(RequestRefused, match="must have the columns") as told:
            client.predict(rows.held.current.card.name, {"speed": 1.0})
        assert told.value.status == 422
        with pytest.raises(RequestRefused, match="404") as told:
            client.predict("no/such", ROW)
        assert told.value.status == 404


def test_tensors_are_answered_and_told_apart(rows: Node) -> None:
    with serve(forward(rows)) as server, Client(server.url) as client:
        name = rows.held.current.card.name
        described = client.describe_model(name)
        assert described.versions == (rows.held.current.model_id,)
        asked = {described.inputs[0].name: np.array([[1.0, np.nan, 0.0], [2.0, 3.0, 1.0]])}
        got = client.infer(name, asked, outputs=[described.outputs[-1].name], id="r1", binary=False)
        assert (got.model_version, got.id) == (rows.held.current.model_id, "r1")
        assert list(got.outputs) == [described.outputs[-1].name]
        raw = rows.held.current.predictor.predict(asked[described.inputs[0].name])
        np.testing.assert_array_equal(got.outputs[described.outputs[-1].name], raw.values)
        assert client.is_live()
        assert client.is_ready(name)
        assert not client.is_ready("another")
        assert got.answer_id is not None
        assert client.feedback(got.answer_id, 3.5) == 1


def test_coroutines_ask_side_by_side(rows: Node) -> None:
    name = rows.held.current.card.name

    async def ask(url: str) -> list[str]:
        async with AsyncClient(url, connections=4) as client:
            assert await client.is_ready(name)
            answers = await asyncio.gather(*(client.predict(name, ROW) for _ in range(8)))
            assert await client.feedback(answers[0].answer_id, 1.0) == 1
            return [answer.answer_id for answer in answers]

    with serve(forward(rows)) as server:
        assert len(set(asyncio.run(ask(server.url)))) == 8


def test_a_server_of_something_else_is_named_as_such() -> None:
    with serve(lambda _: (200, {}, b"<html>")) as server, Client(server.url) as client:
        with pytest.raises(BadAnswer, match="answer must be Answer as JSON"):
            client.predict("digits", ROW)
        with pytest.raises(BadAnswer, match="Open Inference Protocol"):
            client.infer("digits", {"x": np.zeros((1, 2))}, binary=False)
