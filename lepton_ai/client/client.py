"""Asks an endpoint, an agent, or any server of the Open Inference Protocol v2 over HTTP."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

from lepton_ai.client.answers import (
    Accepted,
    Answer,
    ModelDescription,
    ServerDescription,
    read_answer,
)
from lepton_ai.client.bodies import Asked, encode_asked, encode_json
from lepton_ai.client.errors import RequestRefused, ServerBusy
from lepton_ai.client.retries import Retries
from lepton_ai.client.tensors import (
    BINARY,
    LENGTH,
    Array,
    Inferred,
    decode_answer,
    encode_request,
)
from lepton_ai.client.transport import Transport

TIMEOUT_S = 30.0
CONNECTIONS = 16
_ABSENT = (400, 404, 405, 501, 503)


class Client:
    """Asks one server; safe to use from many threads, and as a context that closes it.

    What could not be answered for now (429, 502, 503, 504, a lost connection) is asked again after
    a pause drawn by chance, never sooner than the server's Retry-After, and never beyond the time
    that there is. Asking twice is harmless: a question changes nothing, a truth replaces itself.

    Args:
        url: The server's address, http(s)://host[:port][/prefix].
        key: The API key; None for none.
        timeout_s: Seconds that a call may take in all; each call can say otherwise.
        retries: How often and how soon a request is sent again.
        connections: Most connections that are kept open.
        ca_file: Certificates that the server's is verified by; None for the system's.

    Raises:
        ValueError: The address or the key cannot be one.
    """

    def __init__(
        self,
        url: str,
        key: str | None = None,
        *,
        timeout_s: float = TIMEOUT_S,
        retries: Retries | None = None,
        connections: int = CONNECTIONS,
        ca_file: str | None = None,
    ) -> None:
        self._transport = Transport(
            url,
            key=key,
            timeout_s=timeout_s,
            retries=retries or Retries(),
            connections=connections,
            ca_file=ca_file,
        )
        self._takes_binary: bool | None = None

    @property
    def url(self) -> str:
        """The server's address."""
        return self._transport.url

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connections; a later call opens new ones."""
        self._transport.close()

    def predict(
        self,
        model: str,
        data: Asked,
        *,
        name: str | None = None,
        timeout_s: float | None = None,
    ) -> Answer:
        """Ask a Lepton endpoint or agent for rows, a file or an array.

        Args:
            model: The model's name (its recipe's), or its id.
            data: A path; the bytes of a picture, a CSV or a .npy file; a row as
                `{column: value}`, or a list of them; or an array.
            name: What the answer calls it; None for the path.
            timeout_s: Seconds that the call may take; None for the client's.

        Raises:
            ClientError: It was not answered.
            OSError: The path cannot be read.
        """
        body, kind = encode_asked(data)
        shown = name if name is not None else str(data) if isinstance(data, str | Path) else None
        path = ("predict", model)
        query = "" if shown is None else f"?name={quote(shown, safe='')}"
        headers = {"content-type": kind}
        reply = self._transport.ask("POST", path, body, headers, timeout_s, query)
        return read_answer(Answer, reply.body)

    def infer(
        self,
        model: str,
        inputs: Mapping[str, Array],
        *,
        outputs: Sequence[str] | None = None,
        version: str | None = None,
        id: str | None = None,
        binary: bool | None = None,
        timeout_s: float | None = None,
    ) -> Inferred:
        """Ask any server of the protocol for tensors.

        Args:
            model: The model's name.
            inputs: Tensors by name.
            outputs: Names of the outputs that are asked for; None for all.
            version: Version of the model; None for the server's choice.
            id: The request's own id, which the answer repeats.
            binary: Whether tensors go as raw bytes; None: where the server says that it takes them.
            timeout_s: Seconds that the call may take; None for the client's.

        Raises:
            ClientError: It was not answered.
            TypeError: A tensor is of no datatype of the protocol.
            ValueError: A number cannot be said in JSON.
        """
        raw = self._find_binary(timeout_s) if binary is None else binary
        body, headers = encode_request(inputs, outputs, id=id, binary=raw)
        path = (*_locate(model, version), "infer")
        reply = self._transport.ask("POST", path, body, headers, timeout_s)
        return decode_answer(reply.body, reply.headers.get(LENGTH))

    def feedback(self, answer_id: str, truth: Any, *, timeout_s: float | None = None) -> int:
        """Tell the truth of an answer, which is learned from later.

        Args:
            answer_id: The answer's id.
            truth: The label or the value.
            timeout_s: Seconds that the call may take; None for the client's.

        Returns:
            How many truths were taken.

        Raises:
            ClientError: It was not taken.
        """
        return self.feedback_many([(answer_id, truth)], timeout_s=timeout_s)

    def feedback_many(
        self, truths: Iterable[tuple[str, Any]], *, timeout_s: float | None = None
    ) -> int:
        """Tell the truths of several answers at once: pairs of an answer's id and its truth."""
        told = [{"answer_id": answer_id, "truth": truth} for answer_id, truth in truths]
        headers = {"content-type": "application/json"}
        reply = self._transport.ask("POST", ("feedback",), encode_json(told), headers, timeout_s)
        return read_answer(Accepted, reply.body).accepted

    def describe_server(self, *, timeout_s: float | None = None) -> ServerDescription:
        """Return what the server says of itself.

        Raises:
            ClientError: It was not answered.
        """
        return read_answer(ServerDescription, self._get(("v2",), timeout_s))

    def describe_model(
        self, model: str, version: str | None = None, *, timeout_s: float | None = None
    ) -> ModelDescription:
        """Return what the server says of a model: its versions and tensors.

        Raises:
            ClientError: It was not answered.
        """
        return read_answer(ModelDescription, self._get(_locate(model, version), timeout_s))

    def is_live(self, *, timeout_s: float | None = None) -> bool:
        """Tell whether the server is up; False where nothing answers."""
        return self._is_there(("v2", "health", "live"), timeout_s)

    def is_ready(
        self,
        model: str | None = None,
        version: str | None = None,
        *,
        timeout_s: float | None = None,
    ) -> bool:
        """Tell whether the server answers, or one of its models does."""
        path = ("v2", "health", "ready") if model is None else (*_locate(model, version), "ready")
        return self._is_there(path, timeout_s)

    def _get(self, path: tuple[str, ...], timeout_s: float | None) -> bytes:
        return self._transport.ask("GET", path, timeout_s=timeout_s).body

    def _is_there(self, path: tuple[str, ...], timeout_s: float | None) -> bool:
        return self._transport.is_there(path, _ABSENT, timeout_s)

    def _find_binary(self, timeout_s: float | None) -> bool:
        """Tell whether the server takes raw bytes, which is asked once."""
        if self._takes_binary is None:
            try:
                known = self.describe_server(timeout_s=timeout_s).extensions
            except ServerBusy:
                return False  # For now.
            except RequestRefused:
                known = ()
            self._takes_binary = BINARY in known
        return self._takes_binary


def _locate(model: str, version: str | None) -> tuple[str, ...]:
    more = () if version is None else ("versions", version)
    return ("v2", "models", model, *more)
