"""What a run can do without is told when the server is there, and no run waits for that."""

import threading
from contextvars import ContextVar

import httpx
import pytest
from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, temporary_settings

from tasks.runtime.teller import Teller

WHO: ContextVar[str] = ContextVar("who", default="nobody")


def refuse(status: int) -> httpx.HTTPStatusError:
    request = httpx.Request("POST", "http://127.0.0.1/api/artifacts/")
    return httpx.HTTPStatusError("no", request=request, response=httpx.Response(status))


@pytest.mark.parametrize("fault", [httpx.ConnectError("away"), refuse(503)])
def test_a_server_that_is_away_is_told_in_order_when_it_is_back(fault: Exception) -> None:
    teller, told, away = Teller(retry_s=0.001), list[str](), [fault] * 3

    def say(word: str) -> None:
        if away:
            raise away.pop()
        told.append(f"{word} by {WHO.get()}")

    for word in ("one", "two", "three"):
        token = WHO.set(f"task {word}")
        teller.tell(word, lambda word=word: say(word))
        WHO.reset(token)
    assert teller.flush(60)
    assert told == ["one by task one", "two by task two", "three by task three"]


def test_it_asks_once_where_the_run_s_own_client_has_patience() -> None:
    told = list[int]()
    with temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 8}):
        teller = Teller()
        teller.tell("retries", lambda: told.append(PREFECT_CLIENT_MAX_RETRIES.value()))
        assert teller.flush(60)
        assert (told, PREFECT_CLIENT_MAX_RETRIES.value()) == ([0], 8)


def test_who_tells_does_not_wait_and_the_newest_word_counts() -> None:
    teller, told, back = Teller(retry_s=0.001), list[str](), threading.Event()
    teller.tell("slow", lambda: back.wait(60))
    for word in ("1 %", "50 %", "100 %"):
        teller.tell("progress", lambda word=word: told.append(word))
    assert not teller.flush(0.01)
    assert not told
    back.set()
    assert teller.flush(60)
    assert told == ["100 %"]


def test_what_is_refused_is_not_said_again() -> None:
    teller, tries, told = Teller(retry_s=0.001), list[int](), list[str]()

    def be_refused() -> None:
        tries.append(1)
        raise refuse(422)

    teller.tell("bad", be_refused)
    teller.tell("good", lambda: told.append("good"))
    assert teller.flush(60)
    assert (len(tries), told) == (1, ["good"])
