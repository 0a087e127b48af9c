"""Open Inference Protocol v2: tensors as JSON or bytes, and what a model says of itself.

https://github.com/kserve/open-inference-protocol/blob/main/specification/protocol/inference_rest.md
Data are JSON numbers, flat or nested, in row-major order, or stand as bytes behind the JSON.
"""

import math
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from deployments.targets.errors import BadInput
from deployments.targets.run.forms.ahead import check_ahead
from deployments.targets.run.forms.arrays import read_numbers
from deployments.targets.run.live import LiveModel
from deployments.targets.run.runtime import Answers, Array
from deployments.targets.serve.bodies import check_rows, parse_json
from deployments.targets.serve.oip_bytes import pack_body, read_bytes
from deployments.targets.serve.replies import Refusal, Reply
from deployments.targets.trust.card import InputSpec

DATATYPES = {
    "bool": "BOOL",
    "uint8": "UINT8",
    "int8": "INT8",
    "uint16": "UINT16",
    "int16": "INT16",
    "int32": "INT32",
    "int64": "INT64",
    "float32": "FP32",
    "float64": "FP64",
}
"""The protocol's name of each dtype of a card."""
PLATFORM = "onnxruntime_onnx"
MAX_ID_CHARS = 200
_PACK = orjson.OPT_SERIALIZE_NUMPY


class _Message(BaseModel):
    # Fields of extensions that are not known here are passed over, as the protocol asks for.
    model_config = ConfigDict(frozen=True, extra="ignore")


class _Parameters(_Message):
    binary_data_size: int | None = Field(default=None, ge=0)
    binary_data: bool | None = None
    binary_data_output: bool = False


_NOTHING_SAID = _Parameters()


class _Input(_Message):
    name: str
    shape: tuple[int, ...] = Field(min_length=1, max_length=9)
    datatype: str
    data: Any = None
    parameters: _Parameters = _NOTHING_SAID


class _Output(_Message):
    name: str
    parameters: _Parameters = _NOTHING_SAID


class _Request(_Message):
    id: str | None = Field(default=None, max_length=MAX_ID_CHARS)
    inputs: tuple[_Input, ...]
    outputs: tuple[_Output, ...] | None = None
    parameters: _Parameters = _NOTHING_SAID


@dataclass(frozen=True)
class InferRequest:
    """What is asked.

    Attributes:
        raw: (N, *shape) of the card's dtype.
        names: Outputs that are asked for, in the order of the request.
        id: The request's own id, which its answer repeats; None: it has none.
        binary: Those of the outputs that are asked for as bytes.
    """

    raw: Array
    names: tuple[str, ...]
    id: str | None
    binary: frozenset[str] = frozenset()


def parse_infer(body: bytes, live: LiveModel, tail: bytes = b"") -> InferRequest:
    """Reads the body of an inference request.

    Args:
        body: JSON.
        live: The model that it is for.
        tail: The bytes behind it, of tensors that are not in the JSON.

    Raises:
        Refusal: 400, it is no request of the protocol, or not for this model; 413, it is too large.
    """
    document = parse_json(body)
    try:
        request = _Request.model_validate(document)
    except ValidationError as error:
        fault = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(map(str, fault["loc"])) or "body"
        raise Refusal(
            400,
            f"inference request must follow the protocol; got {where[:80]}: {fault['msg']}; give "
            "inputs, each with name, shape, datatype and data",
        ) from error
    spec, known = live.card.input, [output.name for output in live.card.outputs]
    if [given.name for given in request.inputs] != [spec.name]:
        names = ", ".join(given.name[:40] for given in request.inputs[:5]) or "none"
        raise Refusal(400, f"inputs must be {spec.name} alone; got {names}; name it so")
    asked = tuple(dict.fromkeys(output.name for output in request.outputs or ())) or tuple(known)
    absent = [name for name in asked if name not in known]
    if absent:
        raise Refusal(
            400, f"outputs must be among {', '.join(known)}; got {absent[0][:80]}; ask for those"
        )
    raw = _read_tensor(request.inputs[0], spec, tail)
    return InferRequest(raw, asked, request.id, _list_binary(request, asked))


def _list_binary(request: _Request, asked: tuple[str, ...]) -> frozenset[str]:
    """List the outputs that are asked for as bytes: each by its own word, else by the request's."""
    usual = request.parameters.binary_data_output
    said = {output.name: output.parameters.binary_data for output in request.outputs or ()}
    return frozenset(
        name for name in asked if (said.get(name) if said.get(name) is not None else usual)
    )


def _read_tensor(given: _Input, spec: InputSpec, tail: bytes) -> Array:
    """Read the data of a tensor: exactly the dtype, shape and range that the card states."""
    what = f"input {spec.name}"
    wanted = DATATYPES[spec.dtype]
    if given.datatype != wanted:
        raise Refusal(
            400,
            f"datatype of {what} must be {wanted}; got {given.datatype[:40]}; give raw values, as "
            "the source has them",
        )
    if given.shape[1:] != spec.shape or given.shape[0] < 1:
        raise Refusal(
            400,
            f"shape of {what} must be {['N', *spec.shape]} with N >= 1; got "
            f"{list(given.shape)}; reshape it",
        )
    check_rows(given.shape[0])
    values = _read_data(given, spec, tail, what)
    if values.size != math.prod(given.shape) or values.shape not in ((values.size,), given.shape):
        raise Refusal(
            400,
            f"data of {what} must be {math.prod(given.shape)} numbers, flat or nested as its "
            f"shape; got {values.size} of shape {list(values.shape)}; send as many as it states",
        )
    _check_values(values, spec, what)
    shaped = values.astype(spec.dtype).reshape(given.shape)
    try:
        check_ahead(shaped, spec, what)
    except BadInput as error:
        raise Refusal(400, str(error)) from error
    return shaped


def _read_data(given: _Input, spec: InputSpec, tail: bytes, what: str) -> Array:
    """Read the numbers of a tensor, from where the request says that they are."""
    size_bytes = given.parameters.binary_data_size
    if (size_bytes or 0) != len(tail) or (size_bytes is None) == (given.data is None):
        raise Refusal(
            400,
            f"data of {what} must be in the JSON, or the bytes behind it, as many as "
            f"binary_data_size says ({size_bytes}); got {len(tail)} bytes and "
            f"{'no ' if given.data is None else ''}data; send one of both",
        )
    if size_bytes is not None:
        return read_bytes(tail, spec.dtype, given.shape, what)
    try:
        return read_numbers(given.data, spec.name)
    except BadInput as error:
        raise Refusal(400, str(error)) from error


def _check_values(values: Array, spec: InputSpec, what: str) -> None:
    """Refuse what a file could not hold either: other kinds, values out of range, fractions."""
    kind, low, high = _find_limits(spec.dtype, spec.bounds)
    if (kind == "b") != (values.dtype.kind == "b"):
        wanted = "true and false" if kind == "b" else "numbers"
        raise Refusal(400, f"data of {what} must be {wanted}; got others; send {wanted}")
    if kind == "b":
        return
    if kind in "iu" and values.dtype.kind == "f" and (values != np.rint(values)).any():
        raise Refusal(400, f"data of {what} must be whole numbers; got others; round them")
    if spec.value_range is None and kind == "f":
        values = values[~np.isnan(values)]  # A missing value.
    if values.size and not (values.min() >= low and values.max() <= high):
        raise Refusal(
            400,
            f"data of {what} must be raw values within {low}..{high}; got one outside; give the "
            "values as the source has them, not scaled ones",
        )


@cache
def _find_limits(dtype: str, bounds: tuple[float, float]) -> tuple[str, float, float]:
    """Find the kind of a dtype, and the smallest and largest value that a tensor may hold."""
    kind = np.dtype(dtype).kind
    if kind == "b":
        return kind, 0, 1
    if kind in "iu":
        low, high = int(np.iinfo(dtype).min), int(np.iinfo(dtype).max)
        return kind, max(bounds[0], low), min(bounds[1], high)
    most = float(np.finfo(dtype).max)
    return kind, max(bounds[0], -most), min(bounds[1], most)


def pack_outputs(live: LiveModel, answers: Answers, request: InferRequest) -> tuple[bytes, bytes]:
    """Return the outputs of an answer, in the order in which they were asked for.

    Returns:
        Them as a JSON list, and the bytes of those that are asked for so, one behind the other.
    """
    dtypes = {output.name: DATATYPES[output.dtype] for output in live.card.outputs}
    said: list[dict[str, Any]] = []
    tail: list[bytes] = []
    for name in request.names:
        array = np.ascontiguousarray(answers.arrays[name])
        told: dict[str, Any] = {"name": name, "datatype": dtypes[name], "shape": array.shape}
        if name in request.binary:
            tail.append(array.tobytes())
            told["parameters"] = {"binary_data_size": array.nbytes}
        else:
            told["data"] = array.reshape(-1)
        said.append(told)
    return orjson.dumps(said, option=_PACK), b"".join(tail)


def pack_reply(
    live: LiveModel, name: str, answer_id: str, request: InferRequest, outputs: tuple[bytes, bytes]
) -> Reply:
    """Return an answer.

    Args:
        live: The model that answered.
        name: The name that it was asked by.
        answer_id: The answer's id, among the parameters.
        request: What was asked; its id is repeated.
        outputs: What `pack_outputs` returned.
    """
    packed, tail = outputs
    reply: dict[str, Any] = {"model_name": name, "model_version": live.model_id}
    if request.id is not None:
        reply["id"] = request.id
    reply["parameters"] = {"answer_id": answer_id}
    reply["outputs"] = orjson.Fragment(packed)
    text = orjson.dumps(reply)
    return pack_body(text, tail) if request.binary else Reply(text)


def describe_model(name: str, models: list[LiveModel], live: LiveModel) -> dict[str, Any]:
    """Describe a model: its versions, which are model ids, and its tensors."""
    spec = live.card.input
    given = {"name": spec.name, "datatype": DATATYPES[spec.dtype], "shape": [-1, *spec.shape]}
    outputs = [
        {
            "name": output.name,
            "datatype": DATATYPES[output.dtype],
            "shape": [-1, *(-1 if length is None else length for length in output.shape)],
        }
        for output in live.card.outputs
    ]
    return {
        "name": name,
        "versions": [model.model_id for model in models],
        "platform": PLATFORM,
        "inputs": [given],
        "outputs": outputs,
    }
