"""What `threads: auto` comes to: as few as a measured step needs, and those that it began with."""

from pathlib import Path
from typing import Any

import pytest
import torch

from lightning_modules.specs.training import TrainSpec
from lightning_modules.training import auto_threads
from lightning_modules.training.auto_threads import measure_gain, resolve_threads
from lightning_modules.training.checkpoint import ResumeStates
from lightning_modules.training.manner import choose_manner
from lightning_modules.training.measured_step import open_stand_in
from storage.base.store import Store
from tests.lightning_modules.training.test_auto_precision import IMAGE, ROW, build
from tests.lightning_modules.training.test_resume import Died, fit, make_spec


@pytest.fixture(autouse=True)
def _same_threads_afterwards() -> Any:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def set_gains(patch: pytest.MonkeyPatch, *gains: float) -> list[tuple[int, int]]:
    """Has the steps measure these gains, one a doubling; returns what was compared."""
    compared: list[tuple[int, int]] = []

    def measure(_learner: Any, _raw: Any, few: int, many: int, *, bf16: bool) -> float:
        compared.append((few, many))
        return gains[len(compared) - 1]

    patch.setattr(auto_threads, "measure_gain", measure)
    return compared


@pytest.mark.parametrize(
    ("most", "gains", "expected", "compared"),
    [
        (1, (), 1, []),
        (2, (1.29,), 1, [(1, 2)]),
        (2, (1.3,), 2, [(1, 2)]),
        (16, (1.9, 1.7, 1.2), 4, [(1, 2), (2, 4), (4, 8)]),
        (6, (1.9, 1.7, 1.4), 6, [(1, 2), (2, 4), (4, 6)]),
    ],
)
def test_as_few_threads_as_a_measured_step_needs(
    monkeypatch: pytest.MonkeyPatch,
    most: int,
    gains: tuple[float, ...],
    expected: int,
    compared: list[tuple[int, int]],
) -> None:
    seen = set_gains(monkeypatch, *gains)
    assert resolve_threads(most, build(), IMAGE, rows=64, bf16=False) == expected
    assert seen == compared


@pytest.mark.parametrize(
    ("many", "expected"),
    [
        ((1.0, 1.0, 1.0, 1.0), 2.0),
        ((1.0, 1.0, 0.5, 4.0), 0.5),  # beside other work a lucky turn says nothing
        ((4.0,), 0.5),  # and one that gains nothing is enough
    ],
)
def test_the_worst_turn_counts(
    monkeypatch: pytest.MonkeyPatch, many: tuple[float, ...], expected: float
) -> None:
    left = {1: [2.0] * 5, 2: list(many)}  # one in few threads beforehand says how many steps to do
    monkeypatch.setattr(
        auto_threads, "_time_steps", lambda _l, _r, threads, _s, *, bf16: left[threads].pop(0)
    )
    with open_stand_in(build(), IMAGE, 8) as (stand_in, raw):
        assert measure_gain(stand_in, raw, 1, 2, bf16=False) == expected
    assert not left[2]


@pytest.mark.parametrize("sample", [IMAGE, ROW])
def test_measuring_changes_nothing(sample: Any) -> None:
    learner = build(sample)
    before = {name: value.clone() for name, value in learner.state_dict().items()}
    threads = torch.get_num_threads()
    torch.manual_seed(3)
    drawn = torch.rand(4)
    torch.manual_seed(3)
    assert resolve_threads(2, learner, sample, rows=1, bf16=False) in (1, 2)
    assert torch.equal(torch.rand(4), drawn)
    assert torch.get_num_threads() == threads
    assert all(torch.equal(value, before[name]) for name, value in learner.state_dict().items())
    assert all(weight.grad is None for weight in learner.parameters())


def choose(spec: TrainSpec, most: int | None) -> int:
    return choose_manner(spec, build(), IMAGE, most).threads


def test_the_recipe_s_word_holds_and_then_a_person_s(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = set_gains(monkeypatch, 9.0)
    torch.set_num_threads(3)
    assert choose(make_spec(threads=2), None) == 2
    assert choose(make_spec(threads=2), 8) == 2
    assert choose(make_spec(), None) == 3
    assert not seen
    assert choose(make_spec(), 2) == 2


def test_a_training_goes_on_in_the_threads_that_it_began_with(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    states = Store(str(tmp_path))
    with pytest.raises(Died):
        fit(make_spec(threads=2), states, dies_at=8)
    keeper = ResumeStates(states)
    assert keeper.read_manner(str(keeper.find_newest())) == ("fp32", 2)
    set_gains(monkeypatch, *[1.0] * 3)
    spec, learner, newest = make_spec(), build(), keeper.find_newest()
    assert choose_manner(spec, learner, IMAGE, 4, keeper, newest).threads == 2
    # A machine with fewer cores is not asked for more than it has.
    assert choose_manner(spec, learner, IMAGE, 1, keeper, newest).threads == 1
    resumed, _ = fit(make_spec(threads=2), states)
    assert resumed.result.threads == 2
