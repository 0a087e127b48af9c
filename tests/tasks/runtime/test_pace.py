"""The time that is left is told by the steps that were taken here, and never before it is known."""

from typing import Any

import pytest

from lightning_modules.specs.objectives import OBJECTIVES
from tasks.runtime.pace import FEWEST_S, Pace, show_left
from tasks.runtime.progress import PROGRESS
from tasks.training import shown
from tasks.training.shown import ShownTraining


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_the_rest_takes_as_long_as_what_was_done_did() -> None:
    clock = Clock()
    pace = Pace(clock)
    assert pace.estimate_left(0, 100) is None
    clock.now += FEWEST_S / 2
    assert pace.estimate_left(1, 100) is None, "too early"
    clock.now = 110.0
    assert pace.estimate_left(25, 100) == pytest.approx(30.0)
    assert pace.tell_left(25, 100) == "at most about 30 s left"
    assert pace.tell_left(100, 100) == ""


def test_a_training_that_goes_on_counts_from_where_it_did() -> None:
    clock = Clock()
    pace = Pace(clock)
    pace.estimate_left(900, 1000)
    clock.now += 10
    assert pace.estimate_left(910, 1000) == pytest.approx(90.0)
    # A fresh attempt begins earlier again.
    assert pace.estimate_left(0, 1000) is None
    clock.now += 10
    assert pace.estimate_left(10, 1000) == pytest.approx(990.0)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(2, "5 s"), (43, "45 s"), (100, "2 min"), (3_500, "58 min"), (7_500, "2 h 05 min")],
)
def test_a_rest_is_told_as_roughly_as_it_is_known(seconds: float, words: str) -> None:
    assert show_left(seconds) == words


def test_console_and_prefect_hear_of_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, told, artifacts = Clock(), [], []

    class Sink:
        def advance(self, stage: str, done: int, total: int | None, note: str) -> None:
            told.append((stage, done, total, note))

    class Artifact:
        def __init__(self, key: str) -> None: ...

        def show(self, done: int, total: int, note: str) -> None:
            artifacts.append(note)

    monkeypatch.setattr(shown, "ProgressArtifact", Artifact)
    monkeypatch.setattr(shown, "Pace", lambda: Pace(clock))
    sink: Any = Sink()
    token = PROGRESS.set(sink)
    try:
        watcher = ShownTraining(10, OBJECTIVES.find("classes").watched)
        watcher.show({"event": "start", "steps": 100})
        watcher.show({"event": "step", "step": 1, "steps": 100})
        clock.now += 10
        watcher.show({"event": "step", "step": 11, "steps": 100})
        watcher.show({"event": "epoch", "epoch": 0, "validation_accuracy": 0.5})
    finally:
        PROGRESS.reset(token)
    assert artifacts[1] == f"step 11 of 100, at most about {show_left(89)} left"
    assert told == [
        ("train", 1, 10, f"validation accuracy 50.00%, at most about {show_left(90)} left")
    ]
