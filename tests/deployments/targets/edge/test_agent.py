"""Real agents: what they say, and what becomes of what they acknowledged when they are killed."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from deployments.targets.edge.state import StateFolder
from deployments.targets.publish.channel import Channel
from deployments.targets.trust.devices import add_device, revoke_device
from deployments.targets.trust.keys import KeyRing
from storage.base.store import Store
from tests.deployments.targets.edge.deadly import MOMENTS, VARIABLE
from tests.deployments.targets.edge.processes import (
    DEADLY,
    WATCHED,
    Agent,
    Client,
    Ledger,
    check_ledger,
    check_modules,
    read_all,
)
from tests.deployments.targets.material import make_channel, publish_model
from tests.flows.material import call

FAST = ("--interval-s", "0.1")


@pytest.fixture
def channel(tmp_path: Path, keys: KeyRing) -> Channel:
    made = make_channel(tmp_path / "workspace", "edge")
    publish_model(made, 1, None)
    code = StateFolder(tmp_path / "state").make_code("d1")
    add_device(Store(tmp_path / "workspace"), code, device_class="default", ring=keys)
    return made


@pytest.fixture
def agents() -> Iterator[list[Agent]]:
    started: list[Agent] = []
    yield started
    for agent in started:
        if agent.process.poll() is None:
            agent.kill()


def ask_for(agent: Agent, ledger: Ledger, seconds: float, clients: int = 4) -> list[Client]:
    asking = [Client(agent, ledger, len(ledger.answers) + n + 1) for n in range(clients)]
    time.sleep(seconds)
    return asking


def test_an_agent_answers_keeps_sends_follows_and_stops(
    tmp_path: Path, channel: Channel, keys: KeyRing, agents: list[Agent]
) -> None:
    modules = tmp_path / "modules.json"
    env = {**os.environ, "LEPTON_MODULES": str(modules)}
    agents.append(agent := Agent(tmp_path, *FAST, start=WATCHED, env=env))
    health = agent.get_health()
    assert list(health) == ["device", "model_id", "release", "slot", "channel", "spool"]
    assert (health["device"], health["release"], health["slot"]) == ("d1", 1, "a")
    assert set(health["channel"]) == {"status", "checked_at"}
    assert health["spool"] == {"records": 0, "bytes": 0, "dropped": 0}

    second = call(
        *("edge", "run", "--id", "d1", "--state", str(tmp_path / "state"), "--port", "0"),
        *("--channel", "edge", "--uplink", str(tmp_path / "u"), "-w", str(tmp_path / "workspace")),
    )
    assert second.status == 1
    assert "must be free; got another agent" in second.messages

    ledger = Ledger()
    clients = ask_for(agent, ledger, 0.5)
    publish_model(channel, 2, 1)
    deadline = time.monotonic() + 30
    while agent.get_health()["release"] != 2:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    time.sleep(0.2)
    assert agent.stop() == 0  # While it is asked.
    for client in clients:
        client.join()
    batches = read_all(tmp_path / "workspace", keys)
    check_ledger(ledger, batches)
    assert len({batch.model_id for batch in batches} - {None}) == 2
    spool_files = [path.name for path in (tmp_path / "state").glob("spool*")]
    assert spool_files == ["spool.sqlite"]
    check_modules(modules)  # Although all of it is installed here.

    agents.append(again := Agent(tmp_path, *FAST))
    assert again.get_health()["slot"] == "b"
    assert again.stop() == 0


def kill_again_and_again(
    tmp_path: Path, keys: KeyRing, agents: list[Agent], moments: list[float], *options: str
) -> Ledger:
    ledger = Ledger()
    for seconds in moments:
        agents.append(agent := Agent(tmp_path, *FAST, *options))
        clients = ask_for(agent, ledger, seconds)
        agent.kill()
        for client in clients:
            client.join()
    agents.append(last := Agent(tmp_path, *FAST, *options))
    last.wait_sent()
    assert last.stop() == 0
    assert len(ledger.answers) > len(moments) * 5
    check_ledger(ledger, read_all(tmp_path / "workspace", keys))
    return ledger


def test_kills_lose_and_double_nothing_that_was_acknowledged(
    tmp_path: Path, channel: Channel, keys: KeyRing, agents: list[Agent]
) -> None:
    kill_again_and_again(tmp_path, keys, agents, [0.15, 0.53])


@pytest.mark.slow
def test_ten_kills_at_any_moment(
    tmp_path: Path, channel: Channel, keys: KeyRing, agents: list[Agent]
) -> None:
    moments = list(np.random.default_rng(7).uniform(0.05, 1.5, 10))
    kill_again_and_again(tmp_path, keys, agents, moments)


FIRST_MOMENTS = ("before rows are committed", "after a batch was put")


@pytest.mark.parametrize(
    "moment",
    [
        pytest.param(moment, marks=[] if moment in FIRST_MOMENTS else [pytest.mark.slow])
        for moment in MOMENTS
    ],
)
def test_a_kill_at_each_moment_loses_and_doubles_nothing(
    tmp_path: Path, channel: Channel, keys: KeyRing, agents: list[Agent], moment: str
) -> None:
    ledger = Ledger()
    count = 1 if moment == "while it stops" else 3
    env = {**os.environ, VARIABLE: f"{moment}:{count}"}
    agents.append(agent := Agent(tmp_path, *FAST, start=DEADLY, env=env))
    clients = ask_for(agent, ledger, 0.3)
    status = agent.stop() if moment == "while it stops" else agent.finish()
    assert status == -9, agent.messages
    for client in clients:
        client.join()
    agents.append(last := Agent(tmp_path, *FAST))
    last.wait_sent()
    assert last.stop() == 0
    check_ledger(ledger, read_all(tmp_path / "workspace", keys))


def test_days_offline_and_a_revocation_cost_no_answer(
    tmp_path: Path, channel: Channel, keys: KeyRing, agents: list[Agent]
) -> None:
    # An endpoint that nobody listens at.
    agents.append(agent := Agent(tmp_path, *FAST, uplink="http://127.0.0.1:9/uplink"))
    ledger = Ledger()
    for client in ask_for(agent, ledger, 0.3, clients=1):
        agent_stopped = agent.stop()
        client.join()
    assert agent_stopped == 0
    assert "Nothing is lost, but not sent yet" in agent.messages
    revoke_device(Store(tmp_path / "workspace"), "d1", keys)
    agents.append(last := Agent(tmp_path, *FAST))
    assert last.get_health()["model_id"]
    last.wait_sent()
    assert last.stop() == 0
    with pytest.raises(Exception, match="must not be revoked"):
        read_all(tmp_path / "workspace", keys)
