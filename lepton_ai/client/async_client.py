"""The same client for asyncio: each call runs in a thread, with the same retries and deadlines."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ParamSpec, Self, TypeVar

from lepton_ai.client.answers import Answer, ModelDescription, ServerDescription
from lepton_ai.client.bodies import Asked
from lepton_ai.client.client import CONNECTIONS, TIMEOUT_S, Client
from lepton_ai.client.retries import Retries
from lepton_ai.client.tensors import Array, Inferred

P = ParamSpec("P")
R = TypeVar("R")


class AsyncClient:
    """Asks one server from coroutines; as many calls run at once as there are connections.

    A call that is cancelled is let go of at once; its request ends by its own deadline. The
    arguments are those of `Client`.
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
        self._client = Client(
            url,
            key,
            timeout_s=timeout_s,
            retries=retries,
            connections=connections,
            ca_file=ca_file,
        )
        self._threads = ThreadPoolExecutor(connections, "lepton-client")

    @property
    def url(self) -> str:
        """The server's address."""
        return self._client.url

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes the connections, once the calls under way are over."""
        await asyncio.to_thread(self._threads.shutdown)
        self._client.close()

    async def predict(
        self, model: str, data: Asked, *, name: str | None = None, timeout_s: float | None = None
    ) -> Answer:
        """Do what `Client.predict` does."""
        return await self._run(self._client.predict, model, data, name=name, timeout_s=timeout_s)

    async def infer(
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
        """Do what `Client.infer` does."""
        return await self._run(
            self._client.infer,
            model,
            inputs,
            outputs=outputs,
            version=version,
            id=id,
            binary=binary,
            timeout_s=timeout_s,
        )

    async def feedback(self, answer_id: str, truth: Any, *, timeout_s: float | None = None) -> int:
        """Do what `Client.feedback` does."""
        return await self._run(self._client.feedback, answer_id, truth, timeout_s=timeout_s)

    async def feedback_many(
        self, truths: Iterable[tuple[str, Any]], *, timeout_s: float | None = None
    ) -> int:
        """Do what `Client.feedback_many` does."""
        return await self._run(self._client.feedback_many, truths, timeout_s=timeout_s)

    async def describe_server(self, *, timeout_s: float | None = None) -> ServerDescription:
        """Do what `Client.describe_server` does."""
        return await self._run(self._client.describe_server, timeout_s=timeout_s)

    async def describe_model(
        self, model: str, version: str | None = None, *, timeout_s: float | None = None
    ) -> ModelDescription:
        """Do what `Client.describe_model` does."""
        return await self._run(self._client.describe_model, model, version, timeout_s=timeout_s)

    async def is_live(self, *, timeout_s: float | None = None) -> bool:
        """Do what `Client.is_live` does."""
        return await self._run(self._client.is_live, timeout_s=timeout_s)

    async def is_ready(
        self,
        model: str | None = None,
        version: str | None = None,
        *,
        timeout_s: float | None = None,
    ) -> bool:
        """Do what `Client.is_ready` does."""
        return await self._run(self._client.is_ready, model, version, timeout_s=timeout_s)

    async def _run(self, call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, lambda: call(*args, **kwargs))
