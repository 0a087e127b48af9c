"""What a node's HTTP is, as OpenAPI 3.1, with the shapes of the model that answers now.

https://spec.openapis.org/oas/v3.1.0
"""

from collections.abc import Sequence
from typing import Any, Final

from pydantic import JsonValue

from deployments.targets.run.live import LiveModel
from deployments.targets.run.runtime import Answers
from deployments.targets.serve.oip import DATATYPES
from deployments.targets.trust.api_keys import Access

Document = dict[str, Any]
_TEXT: Final[Document] = {"type": "string"}
_NUMBER: Final[Document] = {"type": "number"}
_ID: Final[Document] = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
_BODY: Final[Document] = {"type": "string", "minLength": 1}
_JSON: Final = "application/json"
_BYTES: Final = "application/octet-stream"
_REFUSALS: Final = {
    "400": "It is not what it must be; the sentence says what, where, and the remedy.",
    "401": "An API key is asked for.",
    "403": "The API key is for something else, or a batch cannot be trusted.",
    "404": "There is no such model or version.",
    "405": "Another method is asked for.",
    "408": "The body did not come in time.",
    "413": "The body is too large.",
    "415": "The body is of a kind that is not read here.",
    "422": "It cannot be read as what the model takes, or has no answer.",
    "429": "Too many requests; Retry-After says when to come again.",
    "503": "Out of reach or too busy for now; Retry-After says when to come again.",
}
_LOOKS: Final = ("401", "403", "404", "405", "429")


def describe_api(models: list[LiveModel], names: Sequence[str], version: str) -> Document:
    """Return the OpenAPI document of a node.

    Args:
        models: The models that can be asked, the one that answers now first.
        names: Names of that one beside its recipe's.
        version: Lepton's.
    """
    live = models[0]
    known = dict.fromkeys([live.card.name, *names, *(model.model_id for model in models)])
    parameters = {"model": list(known), "version": [model.model_id for model in models]}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": f"{live.card.name}, {live.card.kind}",
            "version": version,
            "description": "Each answer names the model that made it; /models/MODEL/receipt is "
            "the signed receipt that cleared it.",
        },
        "paths": _list_answers(live) | _list_looks() | _list_protocol(),
        "components": {
            "schemas": _list_schemas(live),
            "parameters": {
                name: {"name": name, "in": "path", "required": True, "schema": {"enum": texts}}
                for name, texts in parameters.items()
            },
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{"key": []}, {}],
    }


def _refer(name: str) -> Document:
    return {"$ref": f"#/components/schemas/{name}"}


def _say(words: str, schema: Document, kind: str = _JSON) -> Document:
    return {"description": words, "content": {kind: {"schema": schema}}}


def _describe(
    words: str,
    reply: Document,
    *,
    names: tuple[str, ...] = (),
    body: Document | None = None,
    access: Access = "predict",
    id: str,
) -> Document:
    """Describe one operation."""
    statuses = _LOOKS if body is None else tuple(_REFUSALS)
    found: Document = {
        "operationId": id,
        "summary": words,
        "description": f"An API key needs the scope {access}.",
        "responses": {"200": reply}
        | {status: _say(_REFUSALS[status], _refer("Error")) for status in statuses},
    }
    if names:
        found["parameters"] = [{"$ref": f"#/components/parameters/{name}"} for name in names]
    if body is not None:
        found["requestBody"] = {"required": True, "content": body}
    return found


def _list_answers(live: LiveModel) -> Document:
    predict = _describe(
        "Answer for a picture, a CSV or .npy file, or rows of JSON",
        _say("The answers.", _refer("Answer")),
        names=("model",),
        body=_list_bodies(live),
        id="predict",
    )
    predict["parameters"].append(
        {"name": "name", "in": "query", "schema": {"type": "string"}, "description": "The file's."}
    )
    truths = {
        "oneOf": [_refer("Truth"), {"type": "array", "items": _refer("Truth"), "minItems": 1}]
    }
    taken = {"type": "object", "required": ["accepted"], "properties": {"accepted": {}}}
    return {
        "/predict/{model}": {"post": predict},
        "/feedback": {
            "post": _describe(
                "Say what was true of answers",
                _say("How many were kept.", taken),
                body={_JSON: {"schema": truths}, "text/csv": {"schema": _BODY}},
                access="feedback",
                id="feedback",
            )
        },
        "/uplink": {
            "post": _describe(
                "Take a device's signed batch",
                _say("The range of numbers that it holds.", taken),
                body={_BYTES: {"schema": _BODY}},
                access="uplink",
                id="uplink",
            )
        },
    }


def _list_bodies(live: LiveModel) -> Document:
    """List what may be sent to be answered; files and numbers are of any length."""
    bodies: Document = {_JSON: {"schema": _refer("Rows")}, "application/x-npy": {"schema": _BODY}}
    if live.card.input.columns:
        return bodies | {"text/csv": {"schema": _BODY}}
    return bodies | {kind: {"schema": _BODY} for kind in ("image/png", "image/jpeg")}


def _list_looks() -> Document:
    page = {"description": "A page.", "content": {"text/html": {"schema": _TEXT}}}
    thing, counts = {"type": "object"}, _say("Prometheus' text.", _TEXT, "text/plain")
    said = {
        "/": _describe("A page to try the model on", page, id="page"),
        "/health": _describe("Health", _say("Health.", thing), access="admin", id="health"),
        "/metrics": _describe("Counts", counts, access="admin", id="metrics"),
        "/openapi.json": _describe("This document", _say("It.", thing), id="openapi"),
        "/models/{model}/receipt": _describe(
            "The signed receipt that cleared a model, byte for byte",
            _say("The receipt.", _refer("Receipt")),
            names=("model",),
            id="receipt",
        ),
    }
    return {path: {"get": operation} for path, operation in said.items()}


def _list_protocol() -> Document:
    is_so = {"type": "object", "additionalProperties": {"type": ["boolean", "string"]}}
    server = _say("Name, version and extensions.", {"type": "object", "required": ["name"]})
    paths: Document = {
        "/v2": {"get": _describe("The server", server, id="server")},
        "/v2/health/live": {"get": _describe("Does it live?", _say("It does.", is_so), id="live")},
        "/v2/health/ready": {"get": _describe("Is it ready?", _say("It is.", is_so), id="ready")},
    }
    paths["/v2/health/ready"]["get"]["responses"]["503"] = _say("Not yet.", is_so)
    one = "/v2/models/{model}"
    for path, names, suffix in (
        (one, ("model",), ""),
        (one + "/versions/{version}", ("model", "version"), "_version"),
    ):
        paths[path] = {
            "get": _describe(
                "A model's tensors", _say("It.", _refer("Model")), names=names, id=f"model{suffix}"
            )
        }
        paths[path + "/ready"] = {
            "get": _describe(
                "Is a model ready?", _say("It is.", is_so), names=names, id=f"model_ready{suffix}"
            )
        }
        paths[path + "/infer"] = {
            "post": _describe(
                "Answer for tensors",
                _say("The tensors.", _refer("InferReply")),
                names=names,
                body={_JSON: {"schema": _refer("InferRequest")}},
                id=f"infer{suffix}",
            )
        }
    return paths


def _list_schemas(live: LiveModel) -> Document:
    kind = {"enum": sorted(DATATYPES.values())}
    shape = {"type": "array", "items": {"type": "integer"}}
    tensor = {"name": _TEXT, "datatype": kind, "shape": shape}
    port = _make_object(tensor)
    answer = {"model_id": _ID, "answer_id": _TEXT}
    outputs = {"type": "array", "items": _make_object(tensor, {"data": {"type": "array"}})}
    return {
        "Error": _make_object({"error": _TEXT}),
        "Answer": _make_object(
            {**answer, "predictions": {"type": "array", "items": _refer("Prediction")}}
        ),
        "Prediction": _describe_prediction(live),
        "Rows": _describe_rows(live),
        "Truth": _make_object(
            {
                "answer_id": {
                    "type": "string",
                    "pattern": "^[a-z0-9][a-z0-9._-]{0,62}:[1-9][0-9]{0,17}$",
                },
                "truth": {"not": {"type": "null"}},
            }
        ),
        "Receipt": _make_object({"signed": {"type": "object"}, "signatures": {"type": "array"}}),
        "Model": _make_object(
            {
                "name": _TEXT,
                "versions": {"type": "array", "items": _ID},
                "platform": _TEXT,
                "inputs": {"type": "array", "items": port},
                "outputs": {"type": "array", "items": port},
            }
        ),
        "InferRequest": _describe_request(live),
        "InferReply": _make_object(
            {"model_name": _TEXT, "model_version": _ID, "parameters": {}, "outputs": outputs},
            {"id": _TEXT},
        ),
    }


def _make_object(needed: Document, more: Document | None = None) -> Document:
    properties = needed | (more or {})
    return {"type": "object", "required": list(needed), "properties": properties}


def _describe_request(live: LiveModel) -> Document:
    spec = live.card.input
    names = [output.name for output in live.card.outputs]
    given = {
        "name": {"const": spec.name},
        "datatype": {"const": DATATYPES[spec.dtype]},
        "shape": {"type": "array", "prefixItems": [{"type": "integer", "minimum": 1}]}
        | {"items": {"enum": sorted(set(spec.shape))}}
        | {"minItems": len(spec.shape) + 1, "maxItems": len(spec.shape) + 1},
        "data": {"type": "array"},
    }
    asked = {"type": "array", "items": _make_object({"name": {"enum": names}})}
    return _make_object(
        {"inputs": {"type": "array", "items": _make_object(given), "minItems": 1, "maxItems": 1}},
        {"id": {"type": "string", "maxLength": 200}, "outputs": asked},
    )


def _describe_rows(live: LiveModel) -> Document:
    """Describe rows as objects by column, or nested lists of numbers."""
    numbers = {"type": "array"}
    columns = [name for column in live.card.input.columns for name in column.columns]
    if not columns:
        return numbers
    value = {"type": ["string", "number", "boolean", "null"]}
    row = {"type": "object", "properties": dict.fromkeys(columns, value)}
    return {"anyOf": [row, {"type": "array", "items": row, "minItems": 1}, numbers]}


def _describe_prediction(live: LiveModel) -> Document:
    """Describe what is said of one row, by what the model says of its golden samples."""
    answers = Answers(live.card.outputs, dict(live.card.golden.read_outputs()))
    said = {
        output.name: _describe_value(output.value, live.card.labels)
        for output in live.teller.list_outputs(answers, 0)
    }
    times = {"type": "array", "items": _TEXT}
    more = {"row": {"type": "integer"}, "of": _TEXT, "note": _TEXT, "times": times}
    return _make_object({"file": _TEXT, **said, "model_id": _ID}, more)


def _describe_value(value: JsonValue, labels: tuple[str, ...]) -> Document:
    """Describe values that are like one."""
    if isinstance(value, str):
        return {"enum": list(labels)} if value in labels else _TEXT
    if isinstance(value, list):
        return {"type": "array", "items": _describe_value(value[0], ()) if value else {}}
    if isinstance(value, dict):
        members = [_describe_value(member, ()) for member in value.values()][:1]
        return {"type": "object", "additionalProperties": members[0] if members else {}}
    return _NUMBER if isinstance(value, int | float) else {}
