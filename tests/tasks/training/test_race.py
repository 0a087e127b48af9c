"""The race of `family: auto`: planned by estimated costs, decided on validation rows."""

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from flows.kinds import KINDS as TABLE
from lightning_modules.errors import ModelError
from lightning_modules.specs.entrants import Entrant, list_entrants
from lightning_modules.specs.model import ModelSpec
from lightning_modules.specs.training import TrainSpec
from lightning_modules.specs.trial import Bounds, Measured, Survey
from storage.datasets.dataset import Dataset
from tasks.training.heat import Heat, run_heat, survey_heat
from tasks.training.job import DataRef
from tasks.training.race import LEAST_STEPS, Field, Race, choose_budget
from tests.tasks.small_kinds import KINDS, prepare_kind

FIELD = Field(batches=100, batch_rows=32, numbers=10, max_epochs=20, budget_s=60)
FITTED = Survey(at_once=True, parameters=10, step_s=0.01)


def make(*names: str) -> list[Entrant]:
    return [Entrant(name=name, model=ModelSpec(), train=TrainSpec()) for name in names]


class Trials:
    """Answers trials: a network's loss falls with its steps, towards its own level."""

    def __init__(self, levels: dict[str, float | str], cpu_s: float = 1.0) -> None:
        self.levels = levels
        self.cpu_s = cpu_s
        self.seen: list[list[tuple[str, int]]] = []
        self.crossed: dict[str, float] = {}
        self.rotations: dict[str, int] = {}

    def __call__(self, trials: Sequence[tuple[Entrant, Bounds]]) -> list[Measured | str]:
        self.rotations = {each.name: bounds.rotations for each, bounds in trials}
        self.seen.append([(each.name, bounds.batches * bounds.epochs) for each, bounds in trials])
        return [self._measure(each.name, bounds) for each, bounds in trials]

    def _measure(self, name: str, bounds: Bounds) -> Measured | str:
        level = self.levels[name]
        if isinstance(level, str):
            return level
        if bounds.rotations:
            value = self.crossed[name]
            return Measured("loss", "lower", value, value, 9, bounds.epochs, self.cpu_s)
        steps = bounds.batches * bounds.epochs
        value = level + (1 / math.sqrt(steps) if name.startswith("net") else 0.0)
        return Measured("loss", "lower", value, value, steps, bounds.epochs, self.cpu_s)


def decide(
    levels: dict[str, float | str], surveys: Sequence[Survey | str], field: Field = FIELD
) -> tuple[str | None, Race, Trials]:
    trials = Trials(levels)
    race = Race(field, trials)
    winner = race.decide(make(*levels), surveys)
    return (None if winner is None else winner.name), race, trials


def test_a_third_goes_on_and_each_round_keeps_its_share_of_the_budget() -> None:
    levels: dict[str, float | str] = {f"net{n}": 0.1 * n for n in range(6)}
    winner, race, trials = decide(levels, [Survey(False, 10, 0.01)] * 6)
    assert winner == "net0"
    assert [len(each) for each in trials.seen] == [0, 6, 2, 1]
    spent = [sum(steps for _, steps in each) * 0.01 for each in trials.seen[1:]]
    shares = [15.0, 15.0, 30.0]
    assert all(share / 2 < cost <= share for cost, share in zip(spent, shares, strict=True))
    assert len(race.begun) == 9


def test_what_is_fitted_at_once_stays_in_and_wins_where_no_network_is_better() -> None:
    surveys = [FITTED, Survey(False, 99, 0.01)]
    assert decide({"closed": 0.2, "net": 0.3}, surveys)[0] == "closed"
    assert decide({"closed": 0.2, "net": 0.0}, surveys)[0] == "net"


def test_a_tie_goes_to_the_simpler_one() -> None:
    levels: dict[str, float | str] = {"large": 0.2, "small": 0.2}
    surveys = [Survey(True, 500, 0.01), FITTED]
    assert decide(levels, surveys)[0] == "small"


def test_who_fails_loses_and_is_told_and_nobody_wins_where_all_fail() -> None:
    surveys = [FITTED, FITTED, "it does not fit"]
    winner, race, _ = decide({"a": "no memory", "b": 1.0, "c": 0.0}, surveys)
    assert winner == "b"
    assert {each.name: each.came_to for each in race.begun if isinstance(each.came_to, str)} == {
        "a": "no memory",
        "c": "it does not fit",
    }
    assert decide({"a": "no memory"}, [FITTED])[0] is None


def test_the_default_family_is_not_tried_again_where_it_failed() -> None:
    levels: dict[str, float | str] = {"mlp": "diverged", "net1": 0.1, "net2": 0.2, "net3": 0.3}
    winner, race, trials = decide(levels, [Survey(False, 10, 0.01)] * 4)
    assert winner == "net1"
    assert [len(each) for each in trials.seen[1:]] == [4, 1]
    assert [each.round for each in race.begun if each.name == "mlp"] == [1]


def test_what_is_too_dear_for_the_budget_is_not_begun() -> None:
    dear = Survey(False, 99, 5.0)
    winner, race, trials = decide({"net": 0.5, "netlarge": 0.0}, [Survey(False, 9, 0.01), dear])
    assert winner == "net"
    assert all(name == "net" for each in trials.seen for name, _ in each)
    told = next(each.came_to for each in race.begun if each.name == "netlarge")
    assert "raise train.budget_minutes" in str(told)


def test_a_race_that_costs_more_than_its_budget_ends_with_its_round() -> None:
    trials = Trials({f"net{n}": 0.1 * n for n in range(4)}, cpu_s=100.0)
    winner = Race(FIELD, trials).decide(make(*trials.levels), [Survey(False, 9, 0.01)] * 4)
    assert winner is not None
    assert [len(each) for each in trials.seen] == [0, 4]


def test_the_default_budget_grows_with_the_rows_and_ends_at_three_minutes() -> None:
    sizes = [choose_budget(rows, 10, None) for rows in (100, 100_000, 10**8)]
    assert sizes == sorted(sizes)
    assert sizes[0] >= 30
    assert sizes[-1] == 180
    assert choose_budget(100, 10, 2.0) == 120


@pytest.mark.parametrize(
    "kind",
    [
        *(pytest.param(kind, marks=pytest.mark.slow) for kind in KINDS if "tabular" not in kind),
        "tabular-classification",
        pytest.param("tabular-regression", marks=pytest.mark.slow),
    ],
)
def test_a_network_wins_of_every_kind_and_the_same_one_again(kind: str, tmp_path: Path) -> None:
    prepared = prepare_kind(kind, tmp_path)
    fit = prepared.fit
    dataset = Dataset(prepared.workspace, prepared.dataset)
    ref = DataRef(
        workspace=prepared.workspace.url, dataset=dataset.name, version=dataset.open().number
    )
    heat = Heat(data=ref, sample=fit.sample)
    model = fit.model.model_copy(update={"network": ModelSpec().network})
    entrants = list_entrants(fit.sample.form, TABLE.find(kind).objective, model, fit.train)
    assert len(entrants) > 1

    def attempt(call: Any, *arguments: Any) -> Any:
        try:
            return call(heat, *arguments)
        except ModelError as error:
            return str(error)

    def run(trials: Sequence[tuple[Entrant, Bounds]]) -> list[Any]:
        return [attempt(run_heat, entrant, bounds) for entrant, bounds in trials]

    surveys = [attempt(survey_heat, entrant) for entrant in entrants]
    field = Field(batches=8, batch_rows=24, numbers=60, max_epochs=4, budget_s=3)
    races = [Race(field, run) for _ in range(2)]
    winners = [race.decide(entrants, surveys) for race in races]
    assert winners[0] is not None
    assert winners[0] == winners[1]
    failed = [each for each in races[0].begun if isinstance(each.came_to, str)]
    assert all("too long" in str(each.came_to) for each in failed), failed
    figures = [each.came_to for each in races[0].begun if isinstance(each.came_to, Measured)]
    assert all(math.isfinite(each.value) for each in figures)
    assert [
        each.came_to.value for each in races[1].begun if isinstance(each.came_to, Measured)
    ] == [each.value for each in figures]


def test_no_whole_training_is_planned_shorter_than_a_network_shows_itself() -> None:
    tiny = Field(batches=2, batch_rows=32, numbers=10, max_epochs=3, budget_s=60)
    _, _, trials = decide({"net": 0.5, "net2": 0.6}, [Survey(False, 9, 0.01)] * 2, tiny)
    assert {steps for each in trials.seen for _, steps in each} == {6}
    assert LEAST_STEPS > 6


def cross(
    crossed: dict[str, float], *, rows: int = 4000, step_s: float = 0.001, budget_s: float = 60
) -> tuple[str | None, Trials]:
    """Race on few rows: one split says that `closed` is best, folds say what they say."""
    trials = Trials({"closed": 0.0, "closed 2": 0.1, "net 1": 0.3, "net 2": 0.2, "mlp": 0.9})
    trials.crossed = crossed
    field = replace(FIELD, crossed_rows=rows, budget_s=budget_s)
    entrants = [
        each.model_copy(update={"model": name_family(each.name.split()[0])})
        for each in make(*trials.levels)
    ]
    network = Survey(False, 99, step_s)
    winner = Race(field, trials).decide(entrants, [FITTED, FITTED, network, network, network])
    return (None if winner is None else winner.name), trials


def name_family(family: str) -> ModelSpec:
    known = {"closed": "closed_linear", "net": "linear", "mlp": "mlp"}
    return ModelSpec.model_validate({"network": {"family": known[family]}})


def test_of_few_rows_finalists_are_trained_whole_in_turns_on_folds_and_these_decide() -> None:
    figures = {"closed": 0.5, "net 2": 0.4, "mlp": 0.3}
    winner, trials = cross(figures)
    assert winner == "mlp"
    assert [name for name, _ in trials.seen[-1]] == ["closed", "mlp", "net 2"]
    assert set(trials.rotations.values()) == {5}
    assert cross({**figures, "closed": 0.1})[0] == "closed"
    assert set(cross(figures, rows=400)[1].rotations.values()) == {10}


def test_the_default_family_stays_where_there_is_no_time_for_another_and_else_nobody_crosses() -> (
    None
):
    figures = {"closed": 0.5, "net 2": 0.4, "mlp": 0.3}
    # A whole training is 20 epochs of 75 batches; 45 s are left behind the first round.
    _, trials = cross(figures, step_s=0.013)
    assert [name for name, _ in trials.seen[-1]] == ["closed", "mlp"]
    assert set(trials.rotations.values()) == {2}
    _, trials = cross(figures, step_s=0.02)
    assert set(trials.rotations.values()) == {0}
    assert len(trials.seen) == 4
    assert "mlp" in dict(trials.seen[-1])
    # Whatever its steps cost, a training costs something: of three seconds folds would take more.
    assert set(cross(figures, rows=400, budget_s=3)[1].rotations.values()) == {0}


def test_of_many_rows_the_default_family_is_in_the_last_round() -> None:
    levels: dict[str, float | str] = {f"net{n}": 0.1 * n for n in range(6)} | {"mlp": 5.0}
    winner, _, trials = decide(levels, [Survey(False, 10, 0.01)] * 7)
    assert winner == "net0"
    assert [len(each) for each in trials.seen] == [0, 7, 4, 3]
    assert {"net0", "mlp"} < {name for name, _ in trials.seen[-1]}


def test_turns_on_folds_of_stored_rows_come_to_the_same_again(tmp_path: Path) -> None:
    prepared = prepare_kind("tabular-classification", tmp_path)
    dataset = Dataset(prepared.workspace, prepared.dataset)
    ref = DataRef(
        workspace=prepared.workspace.url, dataset=dataset.name, version=dataset.open().number
    )
    heat = Heat(data=ref, sample=prepared.fit.sample)
    train = prepared.fit.train.model_copy(update={"max_epochs": 2})
    (mlp,) = (
        each
        for each in list_entrants("table", "classes", prepared.fit.model, train)
        if each.name == "mlp"
    )
    found = [run_heat(heat, mlp, Bounds(2, 0, 0, math.inf, rotations=2)) for _ in range(2)]
    assert found[0].value == found[1].value
    assert found[0].epochs == 4
    assert 0 <= found[0].value <= 1
    assert heat.name(mlp, Bounds(2, 0, 0, 1)) != heat.name(mlp, Bounds(2, 0, 0, 1, rotations=2))
