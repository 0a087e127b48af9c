"""What the document says is so: every reply of every kind of request fits what it promises."""

from typing import Any

import pytest

from storage.base.store import sha256_bytes
from tests.deployments.targets.run.forms.test_rows import SERIES
from tests.deployments.targets.run.forms.test_rows import make_card as make_row_card
from tests.deployments.targets.serve.asking import Held, Node, Reply, make_live
from tests.deployments.targets.serve.test_answers import DIGIT, make_tensor, write_npy

spec_validator = pytest.importorskip("openapi_spec_validator")
schema_validator = pytest.importorskip("openapi_schema_validator")


def read_document(node: Node) -> dict[str, Any]:
    document: dict[str, Any] = node.get("/openapi.json").json
    return document


def check(document: dict[str, Any], path: str, method: str, reply: Reply) -> None:
    """Holds a reply against what the document says of the operation."""
    operation = document["paths"][path][method]
    said = operation["responses"].get(str(reply.status))
    assert said is not None, (path, reply)
    ((kind, content),) = said["content"].items()
    assert reply.headers[b"content-type"].decode().startswith(kind)
    if kind == "application/json":
        schema = {**content["schema"], "components": document["components"]}
        schema_validator.OAS31Validator(schema).validate(reply.json)


@pytest.fixture(params=["pictures", "rows", "series"])
def node(request: pytest.FixtureRequest) -> Node:
    if request.param == "series":
        return Node(Held(make_live(make_row_card(SERIES))))
    found: Node = request.getfixturevalue(request.param)
    return found


def test_it_is_a_document_of_openapi(node: Node) -> None:
    document = read_document(node)
    spec_validator.validate(document, cls=spec_validator.OpenAPIV31SpecValidator)
    ids = [
        operation["operationId"]
        for item in document["paths"].values()
        for operation in item.values()
    ]
    assert len(set(ids)) == len(ids)


def test_what_is_looked_at_is_as_it_says(node: Node) -> None:
    document = read_document(node)
    live = node.held.current
    names = {"{model}": live.card.name, "{version}": live.model_id}
    for path, item in document["paths"].items():
        if "get" not in item:
            continue
        asked = path
        for name, value in names.items():
            asked = asked.replace(name, value)
        reply = node.get(asked)
        assert reply.status == 200, asked
        check(document, path, "get", reply)
        if "{" in path:
            wrong = node.get(path.replace("{model}", "none").replace("{version}", "0"))
            assert wrong.status == 404
            check(document, path, "get", wrong)
        check(document, path, "get", node.post(asked, b"{}"))


def test_what_is_answered_is_as_it_says(pictures: Node, rows: Node) -> None:
    asked: list[tuple[Node, str, str, object]] = [
        (pictures, "/predict/{model}", "digits", write_npy(DIGIT)),
        (pictures, "/predict/{model}", "digits", DIGIT.tolist()),
        (pictures, "/predict/{model}", "digits", b"{"),
        (pictures, "/predict/{model}", "none", b"{}"),
        (pictures, "/v2/models/{model}/infer", "digits", {"inputs": [make_tensor()], "id": "7"}),
        (pictures, "/v2/models/{model}/infer", "digits", {}),
        (rows, "/predict/{model}", "x", {"speed": 1, "wear": 2, "grade": "X"}),
        (rows, "/predict/{model}", "x", [{"speed": 1, "wear": 2, "grade": "L"}] * 2),
        (rows, "/predict/{model}", "x", b"speed,wear,grade\n1,2,L\n"),
        (rows, "/predict/{model}", "x", {"speed": "no"}),
        (pictures, "/feedback", "", {"answer_id": "a:1", "truth": "3"}),
        (pictures, "/feedback", "", {"answer_id": "a:0"}),
        (pictures, "/uplink", "", b"x"),
    ]
    for node, path, name, body in asked:
        reply = node.post(path.replace("{model}", name), body)
        check(read_document(node), path, "post", reply)


def test_a_receipt_is_given_byte_for_byte(pictures: Node) -> None:
    live = pictures.held.current
    object.__setattr__(live.verified, "receipt", b'{"signatures":[],"signed":{}}')
    for name in (live.model_id, live.model_id[:12], "digits", "cloud"):
        reply = pictures.get(f"/models/{name}/receipt")
        assert reply.body == live.verified.receipt
        assert reply.headers[b"etag"] == f'"{live.card.receipt}"'.encode()
        check(read_document(pictures), "/models/{model}/receipt", "get", reply)
    assert pictures.get(f"/models/{'d' * 64}/receipt").status == 404
    assert len(sha256_bytes(reply.body)) == 64
