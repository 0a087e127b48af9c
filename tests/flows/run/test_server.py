"""A server that is away: a run at work waits for it for minutes, a new one not at all."""

import pytest
from prefect.settings import PREFECT_API_URL, PREFECT_CLIENT_MAX_RETRIES, temporary_settings

from flows.errors import ServerError
from flows.run import server
from flows.run.server import LEAST_RETRIES, _require_reachable, have_patience, prefect_server

URL = "http://127.0.0.1:9/api"


def answer_after(patch: pytest.MonkeyPatch, refusals: int) -> list[str]:
    """Has a server answer behind that many refusals; returns what was asked."""
    asked: list[str] = []

    def reach(url: str) -> str | None:
        asked.append(url)
        return "Connection refused" if len(asked) <= refusals else None

    patch.setattr(server, "_try_to_reach", reach)
    patch.setattr(server, "AGAIN_S", 0.0)
    return asked


def test_a_flow_within_another_waits_and_a_new_one_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = answer_after(monkeypatch, 3)
    _require_reachable(URL, patience_s=60)
    assert len(asked) == 4
    asked.clear()
    with pytest.raises(ServerError, match=r"must answer; got Connection refused; start it"):
        _require_reachable(URL)
    assert len(asked) == 1


@pytest.mark.parametrize(("said", "expected"), [(5, LEAST_RETRIES), (20, 20)])
def test_the_client_is_as_patient_as_five_minutes_ask_for(
    monkeypatch: pytest.MonkeyPatch, said: int, expected: int
) -> None:
    # It waits 2, 4, 8, ... seconds, a fifth less at the least.
    assert 0.8 * sum(2**turn for turn in range(1, LEAST_RETRIES + 1)) > 300
    answer_after(monkeypatch, 0)
    with temporary_settings({PREFECT_API_URL: URL, PREFECT_CLIENT_MAX_RETRIES: said}):
        with prefect_server():
            assert PREFECT_CLIENT_MAX_RETRIES.value() == expected
        assert PREFECT_CLIENT_MAX_RETRIES.value() == said
        have_patience()
        assert PREFECT_CLIENT_MAX_RETRIES.value() == expected
