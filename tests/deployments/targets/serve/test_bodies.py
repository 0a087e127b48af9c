"""A body is waited for so long, and so many are held at once."""

import asyncio
from typing import Any

import pytest

from deployments.targets.serve import bodies
from deployments.targets.serve.bodies import Admission
from deployments.targets.serve.replies import Refusal
from tests.deployments.targets.serve.asking import Node


def test_a_body_that_does_not_come_is_given_up(
    pictures: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bodies, "BODY_TIMEOUT_S", 0.05)

    async def drip() -> dict[str, Any]:
        await asyncio.sleep(0.02)
        return {"type": "http.request", "body": b"x", "more_body": True}

    async def ask() -> None:
        with bodies.Body(Admission()) as body, pytest.raises(Refusal, match="within 0 s") as caught:
            await body.read({}, drip, 1000)
        assert caught.value.status == 408

    asyncio.run(ask())


def test_requests_and_bytes_under_way_are_bounded() -> None:
    admission = Admission(max_requests=2, max_bytes=10)
    for _ in range(2):
        admission.enter()
    with pytest.raises(Refusal, match="at most 2") as caught:
        admission.enter()
    assert (caught.value.status, caught.value.headers) == (503, ((b"retry-after", b"1"),))
    admission.hold(10)
    with pytest.raises(Refusal, match="at most 10 bytes"):
        admission.hold(1)
    admission.leave(10)
    admission.hold(10)
