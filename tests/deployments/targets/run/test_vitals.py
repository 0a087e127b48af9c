"""A model that does worse than the one before it is given up, and not for what askers choose."""

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deployments.targets.errors import BadArtifact
from deployments.targets.publish.channel import Channel
from deployments.targets.run.live import Runtime
from deployments.targets.run.vitals import FAULT_SHARE, KEPT, MIN_FAULTS, SLOWER_BY_S
from tests.deployments.targets.material import make_channel, publish_model

RAW = np.random.default_rng(0).integers(0, 17, (3, 1, 8, 8), dtype=np.uint8)


@pytest.fixture
def channel(workspace: Path) -> Channel:
    made = make_channel(workspace)
    publish_model(made, 1, None)
    return made


def fail_on_zeros(live: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets a model answer nothing finite to samples of zeros alone."""
    real = live.predictor._run

    def run(batch: np.ndarray) -> list[np.ndarray]:
        if not batch.any():
            raise BadArtifact("artifact must answer finite probabilities; got others")
        return list(real(batch))

    monkeypatch.setattr(live.predictor, "_run", run)


def ask_zeros(runtime: Runtime, times: int) -> int:
    """Asks for zeros, and returns how often there was no answer."""
    faults = 0
    for _ in range(times):
        try:
            runtime.current.answer(np.zeros_like(RAW[:1]))
        except BadArtifact:
            faults += 1
    return faults


def wait_switched(slot: str, workspace: Path) -> None:
    deadline_s = time.monotonic() + 20
    while Runtime("edge", str(workspace)).slot != slot:
        assert time.monotonic() < deadline_s


def test_a_model_that_fails_where_the_one_before_answers_is_given_up_for_good(
    workspace: Path, channel: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime = Runtime("edge", str(workspace))
    publish_model(channel, 2, 1)
    assert runtime.refresh() == "updated"
    fail_on_zeros(runtime.current, monkeypatch)
    assert ask_zeros(runtime, 10) == MIN_FAULTS
    assert (runtime.current.release, runtime.slot) == (1, "a")
    assert "release 2" in str(runtime.state.reason)
    assert f"failed {MIN_FAULTS} times" in str(runtime.state.reason)
    for _ in range(3):
        assert (runtime.refresh(), runtime.current.release) == ("refused", 1)
    wait_switched("a", workspace)
    again = Runtime("edge", str(workspace))
    assert (again.state.status, again.current.release) == ("refused", 1)
    publish_model(channel, 3, 2)
    assert (again.refresh(), again.current.release) == ("updated", 3)
    assert (runtime.refresh(), runtime.current.release) == ("updated", 3)


def test_inputs_without_an_answer_by_either_model_change_nothing(
    workspace: Path, channel: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever asks for the impossible must not choose which model answers."""
    runtime = Runtime("edge", str(workspace))
    publish_model(channel, 2, 1)
    fail_on_zeros(runtime.current, monkeypatch)
    assert runtime.refresh() == "updated"
    fail_on_zeros(runtime.current, monkeypatch)
    assert ask_zeros(runtime, 20) == 20
    assert (runtime.current.release, runtime.current.vitals.faults) == (2, 20)


def test_few_failures_among_many_answers_change_nothing(
    workspace: Path, channel: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime = Runtime("edge", str(workspace))
    publish_model(channel, 2, 1)
    runtime.refresh()
    fail_on_zeros(runtime.current, monkeypatch)
    runtime.current.vitals.runs = int(2 * MIN_FAULTS / FAULT_SHARE)
    assert ask_zeros(runtime, 2 * MIN_FAULTS - 1) == 2 * MIN_FAULTS - 1
    assert runtime.current.release == 2
    ask_zeros(runtime, 2)
    assert runtime.current.release == 1


@pytest.mark.parametrize(("slower_by_s", "answers"), [(2 * SLOWER_BY_S, 1), (SLOWER_BY_S / 2, 2)])
def test_a_model_that_is_far_slower_is_given_up(
    workspace: Path, channel: Channel, slower_by_s: float, answers: int
) -> None:
    runtime = Runtime("edge", str(workspace))
    publish_model(channel, 2, 1)
    for _ in range(KEPT):
        runtime.current.vitals.note_run(1, 0.001)
    runtime.refresh()
    for _ in range(KEPT):
        runtime.current.vitals.note_run(1, 0.001 + slower_by_s)
    assert runtime.current.release == answers
