"""A simulation of real agents holds all that it promises, and notices each thing that goes wrong.

Running the recipe and judging feedback are stand-ins that take no time.
"""

import os
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from deployments.targets.errors import TargetError
from deployments.targets.fleet.children import Children
from deployments.targets.fleet.drift import Round
from deployments.targets.fleet.ledger import Sample
from deployments.targets.fleet.plan import Outcome, Plan, score_label
from deployments.targets.fleet.simulate import Fleet
from deployments.targets.run.runtime import Predictor
from tests.deployments.targets.fleet import stand_in
from tests.deployments.targets.material import LABELS, OUTPUTS, SPEC, make_onnx

ENTRY = f"{stand_in.__name__}:main"


class Watcher:
    """Keeps what it is shown."""

    def __init__(self) -> None:
        self.ended: list[tuple[str, str, str]] = []
        self.notes: set[str] = set()

    def begin(self, stage: str) -> None:
        pass

    def advance(self, stage: str, done: int, total: int | None, note: str) -> None:
        self.notes.add(note)

    def end(self, stage: str, outcome: str, note: str, duration_s: float) -> None:
        self.ended.append((stage, outcome, note))


def make_rounds(devices: int, each: int, rounds: int) -> tuple[Round, ...]:
    """Noise, of which that is true which the second model says."""
    second = Predictor(make_onnx(1), SPEC, OUTPUTS)
    random = np.random.default_rng(3)

    def make_sample() -> Sample:
        raw = random.integers(0, 17, (1, 1, 8, 8), dtype=np.uint8)
        label = LABELS[int(second.predict(raw).arrays["label"][0])]
        body = str(raw[0].tolist()).encode()
        return Sample(body, "application/json", label)

    return tuple(
        Round(
            f"part {number}",
            tuple(tuple(make_sample() for _ in range(each)) for _ in range(devices)),
        )
        for number in range(rounds)
    )


def make_plan(tmp_path: Path, *, devices: int = 2, rounds: int = 2) -> Plan:
    names = tuple(f"d{number}" for number in range(1, devices + 1))
    return Plan(
        workspace=str(tmp_path / "work space"),
        recipe="made-up",
        channel=stand_in.CHANNEL,
        devices=names,
        rounds=make_rounds(devices, 6, rounds),
        score=score_label,
        folder=tmp_path / "fold er",
        entry=ENTRY,
        interval_s=0.5,
    )


def simulate(plan: Plan, watcher: Watcher, monkeypatch: pytest.MonkeyPatch, fault: str) -> Outcome:
    monkeypatch.setenv(stand_in.FAULT, fault)
    with Children(plan.entry, plan.folder / "logs") as children:
        try:
            return Fleet(plan, children, watcher).run()
        finally:
            children.end_all()
            assert not any(child.is_running for child in children)


def list_broken(outcome: Outcome) -> list[str]:
    return [found.name for found in outcome.invariants if not found.held]


def test_a_fleet_goes_round_and_everything_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watcher, plan = Watcher(), make_plan(tmp_path)
    outcome = simulate(plan, watcher, monkeypatch, "")
    assert outcome.held, [found for found in outcome.invariants if not found.held]
    assert len(outcome.ledger.answers) == 2 * 2 * 6
    # Half of the last round's truths would come a round later.
    assert len(outcome.ledger.truths) == 2 * 9
    # Whichever looked first took it first.
    assert sorted(entry.device for entry in outcome.taken if entry.release == 2) == ["d1", "d2"]
    (decided,) = outcome.decided
    assert (decided.decision, decided.release, decided.answers) == ("retrain", 2, 12)
    assert {word for _, word, _ in watcher.ended} == {"done"}
    assert [stage for stage, _, _ in watcher.ended][-2:] == ["round 2", "invariants"]
    _expect_no_private_key(plan.folder)


def _expect_no_private_key(folder: Path) -> None:
    """Devices know only the public half of this machine's keys."""
    secret = Path(os.environ["LEPTON_CONFIG_DIR"], "receipt.pem").read_bytes()
    kept = [path for path in folder.rglob("*") if path.is_file()]
    assert kept
    assert not [path for path in kept if secret in path.read_bytes()]
    assert not list(folder.glob("d*/config/**/*.pem"))


@pytest.mark.slow  # each invariant by itself: test_invariants.py
def test_a_fleet_that_learns_nothing_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcome = simulate(make_plan(tmp_path, devices=1), Watcher(), monkeypatch, "nothing")
    assert not outcome.held
    assert list_broken(outcome) == ["drift led to a better model"]


def test_a_device_that_dies_ends_the_simulation_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = make_plan(tmp_path, devices=1)
    file = tmp_path / "pid"
    monkeypatch.setenv("LEPTON_TEST_PID", str(file))
    watcher = Watcher()
    with Children(plan.entry, plan.folder / "logs") as children:
        monkeypatch.setenv(stand_in.FAULT, "kill")
        fleet = Fleet(plan, children, watcher)
        threading.Thread(target=_write_pid, args=(children, file), daemon=True).start()
        with pytest.raises(TargetError, match="d1"):
            fleet.run()
    assert not any(child.is_running for child in children)
    assert "failed" in {word for _, word, _ in watcher.ended}


def _write_pid(children: Children, file: Path) -> None:
    while True:
        pids = [child.process.pid for child in children if child.name == "d1"]
        if pids:
            file.write_text(str(pids[0]))
            return
        time.sleep(0.05)
