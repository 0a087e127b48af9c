"""The two routes that answer: `/predict/MODEL` for files and rows, OIP's infer for tensors.

Each is plain ASGI. One visit to the pool reads the body, computes, and packs what is said; the
loop receives, numbers and sends.
"""

import asyncio
import logging
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple
from urllib.parse import parse_qs

import numpy as np
import orjson

from deployments.targets.errors import BadArtifact, BadInput, TargetError
from deployments.targets.run.forms.arrays import Samples
from deployments.targets.run.forms.records import quote
from deployments.targets.run.inputs import read_samples, read_values, with_times
from deployments.targets.run.live import LiveModel
from deployments.targets.run.runtime import Answers, Array
from deployments.targets.serve.batches import Question
from deployments.targets.serve.bodies import (
    MAX_BODY_BYTES,
    MAX_ROWS,
    MAX_TEXT_BYTES,
    Body,
    Headers,
    check_csv,
    check_rows,
    parse_json,
    read_charset,
    read_headers,
    tell_kind,
)
from deployments.targets.serve.connections import WAITS
from deployments.targets.serve.models import LiveModels, find_model
from deployments.targets.serve.oip import pack_outputs, pack_reply, parse_infer
from deployments.targets.serve.oip_bytes import LENGTH_HEADER, split_body
from deployments.targets.serve.pool import Pool
from deployments.targets.serve.recorder import Recorder
from deployments.targets.serve.replies import Gone, Receive, Refusal, Reply, Scope, refuse_busy
from deployments.targets.trust.card import InputSpec
from storage.base.errors import StorageError
from storage.base.pictures import is_picture
from storage.base.store import redact

logger = logging.getLogger(__name__)
MAX_NAME_CHARS = 200
MAX_DEADLINE_MS, MAX_DEADLINE_DIGITS = 600_000, 20
MAX_NUMBER_CHARS = 32
MAX_HEAD_BYTES = 64 * 2**10
"""Longest JSON around a tensor's numbers."""
LIGHT_BYTES = 64 * 2**10
"""A larger body is read alone: others would wait for it."""
DEADLINE_HEADER = b"x-request-timeout-ms"
"""Milliseconds after which its sender waits no longer."""
SMALL_BYTES = 4 * 2**10
"""A larger body may take its time; a picture may at any size, for it unfolds."""


class _Said(NamedTuple):
    """What the pool gives back: what was asked and answered, the JSON that says so, and bytes."""

    samples: Samples
    answers: Answers
    packed: bytes
    tail: bytes = b""


@dataclass(frozen=True)
class Answerer:
    """Answers requests with what a runtime holds.

    Attributes:
        runtime: The models.
        names: Names of the current one beside its recipe's.
        recorder: Numbers the answers.
        pool: Computes them.
        counts: How many answers had a note, under `noted_answers`.
    """

    runtime: LiveModels
    names: Sequence[str]
    recorder: Recorder
    pool: "Pool[Question[_Said], _Said]"
    counts: Counter[str] = field(default_factory=Counter)

    async def predict(self, name: str, scope: Scope, receive: Receive, body: Body) -> Reply:
        """Answer for a picture, a CSV or .npy file, or rows of JSON.

        Raises:
            Refusal: It cannot be answered.
            Gone: The client left.
        """
        live = find_model(self.runtime, self.names, name)
        headers = read_headers(scope)
        data = await body.read(headers, receive, MAX_BODY_BYTES)
        file = _read_name(scope["query_string"])
        said = await self._ask(_Prediction(live, data, headers, file), data, scope, headers)
        answer_id = await self._record(live, said)
        scope["lepton.answer"] = (live.model_id, answer_id, len(said.samples.raw))
        if said.samples.notes:
            self.counts["noted_answers"] += len({row for row, _ in said.samples.notes})
        reply = {
            "model_id": live.model_id,
            "answer_id": answer_id,
            "predictions": orjson.Fragment(said.packed),
        }
        return Reply(orjson.dumps(reply))

    async def infer(
        self, name: str, version: str | None, scope: Scope, receive: Receive, body: Body
    ) -> Reply:
        """Answer an inference request of the protocol.

        Raises:
            Refusal: It cannot be answered.
            Gone: The client left.
        """
        live = find_model(self.runtime, self.names, name, version)
        headers = read_headers(scope)
        stated = headers.get(LENGTH_HEADER)
        most_bytes = _limit_tensor(live.card.input, binary=stated is not None)
        data = await body.read(headers, receive, most_bytes)
        question = _Inference(live, data, stated)
        said = await self._ask(question, data, scope, headers)
        answer_id = await self._record(live, said)
        scope["lepton.answer"] = (live.model_id, answer_id, len(said.samples.raw))
        return pack_reply(live, name, answer_id, question.request, (said.packed, said.tail))

    async def _ask(
        self, question: "_Prediction | _Inference", data: bytes, scope: Scope, headers: Headers
    ) -> "_Said":
        """Ask the model; where it has no answer, such as to values out of all bounds, say so."""
        timeout_s = _read_timeout_s(headers)
        try:
            small = len(data) <= SMALL_BYTES and not is_picture(data)
            answer = self.pool.run(question, light=len(data) <= LIGHT_BYTES, small=small)
            scope[WAITS] = answer
            return await asyncio.wait_for(answer, timeout_s)
        except asyncio.CancelledError:
            raise Gone from None
        except TimeoutError:
            raise _refuse_late(headers) from None
        except BadInput as error:
            raise Refusal(422, str(error)) from error
        except BadArtifact as error:
            raise Refusal(
                422,
                f"input ({question.file}) must be one that the model has an answer to; got one "
                f"without: {error}",
            ) from error

    async def _record(self, live: LiveModel, said: _Said) -> str:
        samples = said.samples
        try:
            return await self.recorder.record(live, samples.raw, said.answers, samples.times)
        except (StorageError, TargetError) as error:
            logger.exception("An answer could not be recorded")
            raise refuse_busy("answer must be recorded; got a fault of this node") from error


class _Prediction:
    """What is asked of a model in a file's form; see `batches.Question`."""

    __slots__ = ("_data", "_headers", "_samples", "file", "live")

    def __init__(self, live: LiveModel, data: bytes, headers: Headers, file: str) -> None:
        self.live, self.file = live, file
        self._data, self._headers = data, headers

    def read(self) -> Array:
        self._samples = _read(self.live, self._data, self._headers, self.file)
        check_rows(len(self._samples.raw))
        return self._samples.raw

    def tell(self, answers: Answers) -> _Said:
        samples = self._samples
        predictions = self.live.tell(
            answers,
            file=self.file,
            notes=samples.notes,
            names=samples.names,
            times=samples.times,
        )
        told = [prediction.to_json() for prediction in predictions]
        return _Said(samples, answers, f"[{','.join(told)}]".encode())


class _Inference:
    """What is asked of a model by the protocol; see `batches.Question`."""

    __slots__ = ("_data", "_stated", "live", "request")
    file = "request"

    def __init__(self, live: LiveModel, data: bytes, stated: bytes | None) -> None:
        self.live, self._data, self._stated = live, data, stated

    def read(self) -> Array:
        text, tail = split_body(self._data, self._stated)
        self.request = parse_infer(text, self.live, tail)
        return self.request.raw

    def tell(self, answers: Answers) -> _Said:
        samples = with_times(self.request.raw, self.live.card.input)
        return _Said(samples, answers, *pack_outputs(self.live, answers, self.request))


def _read(live: LiveModel, data: bytes, headers: Headers, file: str) -> Samples:
    kind = tell_kind(data, headers)
    try:
        if kind == "json":
            value = parse_json(data)
            check_rows(len(value) if isinstance(value, list) else 1)
            return read_values(value, live.card, file)
        if kind != "csv":
            return read_samples(data, live.card, file)
        check_csv(data)
        return read_samples(data, live.card, file, read_charset(headers))
    except BadInput as error:
        raise Refusal(422, str(error)) from error


def _limit_tensor(spec: InputSpec, *, binary: bool) -> int:
    """Return the most bytes that a request of as many rows as are taken may need."""
    number_bytes = np.dtype(spec.dtype).itemsize if binary else MAX_NUMBER_CHARS
    needed = MAX_HEAD_BYTES + MAX_ROWS * math.prod(spec.shape) * number_bytes
    return min(needed, MAX_BODY_BYTES if binary else MAX_TEXT_BYTES)


def _read_timeout_s(headers: Headers) -> float | None:
    """Return how long a request's sender says that it waits for an answer; None: it does not say.

    Raises:
        Refusal: What it says is no time.
    """
    stated = headers.get(DEADLINE_HEADER)
    if stated is None:
        return None
    digits = stated.isdigit() and len(stated) <= MAX_DEADLINE_DIGITS
    if not digits or not 1 <= int(stated) <= MAX_DEADLINE_MS:
        raise Refusal(
            400,
            f"x-request-timeout-ms must be 1 to {MAX_DEADLINE_MS} milliseconds; got "
            f"{quote(stated.decode('latin-1'))}; give the time that you wait",
        )
    return int(stated) / 1000


def _refuse_late(headers: Headers) -> Refusal:
    waited = headers[DEADLINE_HEADER].decode("latin-1")
    return Refusal(
        429,
        f"answer must come within the {waited} ms that the request waits; got none in that time; "
        "try again in a second",
        [(b"retry-after", b"1")],
    )


def _read_name(query: bytes) -> str:
    """Return the name that a request gives its file by `?name=`, without secrets."""
    if not query:
        return "request"
    given = parse_qs(query.decode("latin-1"), max_num_fields=16).get("name", [""])[0]
    return (
        redact("".join(sign for sign in given if sign.isprintable()))[:MAX_NAME_CHARS] or "request"
    )
