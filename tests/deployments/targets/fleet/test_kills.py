"""Agent and endpoint are killed at any moment: what was acknowledged arrives once, nothing else."""

import random
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from deployments.targets.fleet.agents import (
    AgentPlan,
    Look,
    start_agent,
    start_agents,
    wait_until,
)
from deployments.targets.fleet.children import Child, Children
from deployments.targets.fleet.device import Device, HttpNode, NoReply
from deployments.targets.fleet.evidence import read_arrived
from deployments.targets.fleet.invariants import check_answers, check_truths
from deployments.targets.fleet.ledger import Answered, Ledger, Sample
from storage.base.store import Store
from tests.deployments.targets.fleet import stand_in

ENTRY = f"{stand_in.__name__}:main"
ASKERS = 4
FEW, MANY = 2, 10


class Asker:
    """Asks one device from several threads, and writes down whatever was acknowledged."""

    def __init__(self, name: str, address: str) -> None:
        self.name = name
        self.address = address
        self.ledger = Ledger()
        self._lock = threading.Lock()
        self._random = np.random.default_rng(1)

    def ask_until_lost(self) -> None:
        """Asks until the device gives no reply."""
        with ThreadPoolExecutor(ASKERS) as pool:
            list(pool.map(self._ask_until_lost, range(ASKERS)))

    def ask(self, count: int) -> None:
        """Asks so many times; each must be answered."""
        with closing(HttpNode(self.name, self.address)) as node:
            for _ in range(count):
                self._ask(node)

    def _ask_until_lost(self, number: int) -> None:
        try:
            with closing(HttpNode(self.name, self.address)) as node:
                while True:
                    told = self._ask(node)
                    if number == 0:
                        self._tell(node, told)
        except NoReply:
            with self._lock:
                self.ledger.unanswered += 1

    def _ask(self, node: HttpNode) -> str:
        with self._lock:
            raw = self._random.integers(0, 17, (1, 8, 8), dtype=np.uint8)
        sample = Sample(str(raw.tolist()).encode(), "application/json", "3")
        reply = node.ask(stand_in.CHANNEL, sample)
        answer = Answered(
            reply.answer_id,
            self.name,
            0,
            reply.model_id,
            reply.predicted,
            sample,
            None,
            datetime.now(UTC),
        )
        with self._lock:
            self.ledger.answers.append(answer)
        return reply.answer_id

    def _tell(self, node: HttpNode, name: str) -> None:
        if node.tell([(name, "3")]) == 1:
            self.ledger.truths[name] = "3"


def _ignore(look: Look, done: int) -> None:
    pass


def _wait_empty(device: Device) -> None:
    wait_until([device], lambda look, name: look.waiting[name] == 0, "send all", 60, _ignore)


def _expect_all(workspace: Path, ledger: Ledger) -> None:
    arrived = read_arrived(Store(workspace), ["d1"])
    for found in (check_answers(ledger, arrived), check_truths(ledger, arrived)):
        assert found.held, found.detail


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    folder = tmp_path / "work space"
    stand_in.publish_seed(str(folder), 0)
    return folder


@pytest.mark.slow  # by default: tests/deployments/targets/edge/test_agent.py
@pytest.mark.parametrize("kills", [FEW, MANY])
def test_an_agent_that_is_killed_loses_and_doubles_nothing(
    kills: int, workspace: Path, tmp_path: Path
) -> None:
    plan = AgentPlan(str(workspace), stand_in.CHANNEL, "default", tmp_path / "fleet", 0.5)
    with Children(ENTRY, tmp_path / "logs") as children:
        (device,) = start_agents(plan, ["d1"], children, lambda done, what: None)
        asker = Asker("d1", f"http://{device.node.host}")
        chance = random.Random(kills)
        for _ in range(kills):
            _kill_later(device.child, chance.uniform(0.05, 0.8))
            asker.ask_until_lost()
            device = _restart(plan, children)
            asker.address = f"http://{device.node.host}"
        asker.ask(3)
        with closing(device.node):
            _wait_empty(device)
        assert device.child.end() == 0
    assert len(asker.ledger.answers) > kills
    _expect_all(workspace, asker.ledger)


def _kill_later(child: Child, delay_s: float) -> None:
    timer = threading.Timer(delay_s, child.process.kill)
    timer.daemon = True
    timer.start()


def _restart(plan: AgentPlan, children: Children) -> Device:
    child = start_agent(plan, "d1", children)
    return Device("d1", child, HttpNode("d1", child.wait_ready(60)))


@pytest.mark.parametrize("kills", [FEW, pytest.param(MANY, marks=pytest.mark.slow)])
def test_an_endpoint_that_is_killed_loses_and_doubles_nothing(
    kills: int, workspace: Path, tmp_path: Path
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    uplink = f"http://127.0.0.1:{port}/uplink"
    plan = AgentPlan(str(workspace), stand_in.CHANNEL, "default", tmp_path / "fleet", 0.2, uplink)
    with Children(ENTRY, tmp_path / "logs") as children:
        serving = _serve(children, workspace, port)
        (device,) = start_agents(plan, ["d1"], children, lambda done, what: None)
        asker = Asker("d1", f"http://{device.node.host}")
        chance = random.Random(kills)
        for _ in range(kills):
            _kill_later(serving, chance.uniform(0.05, 0.8))
            while serving.is_running:
                asker.ask(5)
            time.sleep(0.1)
            serving = _serve(children, workspace, port)
            asker.ask(5)
        with closing(device.node):
            _wait_empty(device)
        assert device.child.end() == 0
        assert serving.end() == 0
    _expect_all(workspace, asker.ledger)


def _serve(children: Children, workspace: Path, port: int) -> Child:
    child = children.start(
        "endpoint",
        *("serve", "--channel", stand_in.CHANNEL, "--workspace", str(workspace)),
        *("--port", str(port)),
    )
    child.wait_ready(60)
    return child
