"""The stage that lets networks race on Dask workers: what it keeps, what it says of failures."""

from pathlib import Path
from typing import Any

import pytest

from lightning_modules.specs.entrants import Entrant
from lightning_modules.specs.model import ModelSpec
from lightning_modules.specs.trial import Bounds, Measured, Survey
from storage.datasets.dataset import Dataset
from storage.pipeline.fitted import Fitted
from storage.records.receipts import StartRecord
from tasks.data.collect import describe_version
from tasks.runtime.errors import StageStopped
from tasks.runtime.outcomes import Prepared
from tasks.runtime.race_outcome import Chosen
from tasks.training.choose import choose
from tasks.training.heat import Heat
from tests.tasks.small_kinds import prepare_kind, write_table

KIND = "tabular-regression"
SURVEYS = {"trees": Survey(True, 9, 0.01), "mlp": Survey(False, 99, 0.01)}


def survey(heat: Heat, entrant: Entrant) -> Survey:
    return next((found for name, found in SURVEYS.items() if name in entrant.name), SURVEYS["mlp"])


def measure(heat: Heat, entrant: Entrant, bounds: Bounds) -> Measured:
    """Longer names err less; boosted trees end their worker's patience."""
    with (Path(heat.data.workspace) / "begun").open("a") as file:
        file.write(entrant.name + "\n")
    if entrant.name == "trees":
        raise MemoryError("no room at https://me:hunter2@host/x")
    value = 1 / len(entrant.name)
    return Measured("loss", "lower", value, value, bounds.batches * bounds.epochs, 1, 0.5)


def refuse(heat: Heat, entrant: Entrant, bounds: Bounds) -> Measured:
    raise MemoryError(f"no room for {entrant.name}")


def count_begun(folder: Path) -> int:
    return len((folder / "workspace" / "begun").read_text().splitlines())


class Stage:
    """The stage over rows that were prepared once."""

    def __init__(self, folder: Path, scheduler: str) -> None:
        made = prepare_kind(KIND, folder)
        version = Dataset(made.workspace, made.dataset).open()
        self.arguments: dict[str, Any] = {
            "workspace": made.workspace.url,
            "prepared": Prepared(
                dataset=describe_version(version),
                fitted=Fitted.model_validate(version.info["fitted"]),
            ),
            "objective": "values",
            "data": write_table(KIND)[1],
            "model": ModelSpec.model_validate({"network": {"family": "auto"}}),
            "spec": made.fit.train,
            "directory": str(folder / "run"),
            "scheduler": scheduler,
        }

    def __call__(self) -> Chosen:
        return choose.fn(**self.arguments)


@pytest.fixture
def stage(tmp_path: Path, dask_scheduler: str, monkeypatch: pytest.MonkeyPatch) -> Stage:
    monkeypatch.setattr("tasks.training.choose.survey_heat", survey)
    monkeypatch.setattr("tasks.training.choose.run_heat", measure)
    return Stage(tmp_path, dask_scheduler)


def test_who_fails_is_told_and_a_race_that_goes_on_repeats_no_finished_trial(
    stage: Stage, tmp_path: Path
) -> None:
    first = stage()
    assert first.name == "mlp, widths [96, 96], dropout 0.2, members 8, waves 16"
    lost = next(trial for trial in first.trials if trial.reason)
    assert (lost.name, lost.figure) == ("trees", None)
    assert "no room" in lost.reason
    assert "hunter2" not in lost.reason
    begun = count_begun(tmp_path)
    again = stage()
    assert again == first
    failed_again = 2  # Dask tries a worker's own fault once more.
    assert count_begun(tmp_path) - begun <= failed_again


def test_another_seed_is_another_race(stage: Stage, tmp_path: Path) -> None:
    stage()
    begun = count_begun(tmp_path)
    stage.arguments["spec"] = stage.arguments["spec"].model_copy(update={"seed": 5})
    stage()
    assert count_begun(tmp_path) == 2 * begun


def test_where_all_fail_the_run_stops_with_the_reasons(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.training.choose.run_heat", refuse)
    with pytest.raises(StageStopped) as stopped:
        stage()
    assert stopped.value.stage == "choose"
    assert any("no room for trees, trees 200" in reason for reason in stopped.value.reasons)


def find_champion(heat: Heat) -> ModelSpec:
    params = {"trees": 200, "rate": 0.05, "leaves": 15}
    return ModelSpec.model_validate({"network": {"family": "trees", "params": params}})


def test_weights_of_a_model_go_on_in_its_own_network_without_a_race(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.training.choose.read_network", find_champion)
    stage.arguments["start"] = StartRecord(path="x", sha256="0" * 64, size_bytes=1, model="m" * 64)
    chosen = stage()
    assert chosen.name == "trees, trees 200, rate 0.05, leaves 15"
    assert chosen.trials == ()
    assert chosen.model.network.family == "trees"
    assert not (tmp_path / "workspace" / "begun").exists()
