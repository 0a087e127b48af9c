"""The training process: what it writes, alone and as a group of ranks."""

import json
import time
from pathlib import Path

import numpy as np
import pytest

from lightning_modules.errors import SpecError
from lightning_modules.specs.compress import CompressSpec
from lightning_modules.specs.training import TrainSpec
from storage.base.errors import NotFound
from storage.base.store import Store, sha256_bytes
from tasks.runtime.errors import WorkerFailed
from tasks.runtime.predictions import Written
from tasks.training.job import Export, Predict, WorkerResult
from tasks.training.steps import Worker, do_job, identify_fit
from tasks.training.train import hide_url
from tests.tasks.jobs import ROWS, make_fit, make_job, make_rows, run_job
from tests.tasks.training.conftest import Trained

# One process of the suite runs all that train: it makes the slow imports and these trainings once.
pytestmark = pytest.mark.xdist_group("trainings")


def read_answers(folder: Path, split: str) -> dict[str, np.ndarray]:
    with np.load(folder / f"predictions.{split}.npz") as arrays:
        return dict(arrays)


def test_every_file_is_the_one_that_is_told_of(
    trained: Trained,
) -> None:
    job, result, _ = trained
    files: list[Written] = [
        result.checkpoint,
        *result.predictions.values(),
        *result.artifacts.values(),
    ]
    assert {file.file for file in files} == {
        "checkpoint.safetensors",
        "predictions.validation.npz",
        "predictions.held_out.npz",
        "fp32.onnx",
        "int8.onnx",
    }
    for file in files:
        content = (Path(job.directory) / file.file).read_bytes()
        assert (sha256_bytes(content), len(content)) == (file.sha256, file.size_bytes)
    assert list(result.seconds) == [
        "start",
        "fit",
        "predict validation",
        "predict held_out",
        "export",
    ]
    assert (Path(job.directory) / "job.json").stat().st_mode & 0o077 == 0
    assert not list(Path(job.directory).glob("resume/*/*"))


def test_every_row_is_answered_once(trained: Trained) -> None:
    job, result, _ = trained
    for split in ("validation", "held_out"):
        answers, rows = read_answers(Path(job.directory), split), make_rows(split, ROWS[split])
        order = np.argsort(rows["row_id"])
        assert answers["row_id"].dtype == np.uint64
        np.testing.assert_array_equal(answers["row_id"], rows["row_id"][order])
        np.testing.assert_array_equal(answers["truth"], rows["label"][order])
        right = answers["values"].argmax(1) == answers["truth"]
        assert result.predictions[split].figures["accuracy"] == pytest.approx(right.mean())
        assert result.predictions[split].figures["accuracy"] > 0.9
    assert result.fit is not None
    assert (
        result.fit.validation_figures["accuracy"]
        == result.predictions["validation"].figures["accuracy"]
    )


def test_metric_log_is_followed_line_by_line(
    trained: Trained,
) -> None:
    job, result, records = trained
    lines = [
        json.loads(line)
        for line in (Path(job.directory) / "metrics.jsonl").read_text().splitlines()
    ]
    assert records == lines
    assert result.fit is not None
    assert [line for line in lines if line["event"] == "epoch"] == list(result.fit.history)


def test_two_ranks_learn_what_one_does(trained: Trained, pair: tuple[Path, WorkerResult]) -> None:
    job, alone, _ = trained
    folder, both = pair
    assert alone.fit is not None
    assert both.fit is not None
    assert both.fit.world_size == 2
    for one, two in zip(alone.fit.history, both.fit.history, strict=True):
        assert two["train_loss"] == pytest.approx(one["train_loss"], rel=1e-4)
        assert two["validation_loss"] == pytest.approx(one["validation_loss"], rel=1e-4)
    for split in ("validation", "held_out"):
        one, two = (read_answers(where, split) for where in (Path(job.directory), folder))
        np.testing.assert_array_equal(two["row_id"], one["row_id"])
        np.testing.assert_array_equal(two["truth"], one["truth"])
        np.testing.assert_allclose(two["values"], one["values"], atol=1e-3)


@pytest.mark.usefixtures("cold_start")
def test_later_job_uses_the_checkpoint_that_is_there(
    trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, result, _ = trained
    # A stranger's packages in the current directory are not ours.
    for name in ("tasks", "storage", "lightning_modules"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise SystemExit('a stranger was imported')")
    monkeypatch.chdir(tmp_path)
    steps = (Predict(split="held_out"), Export(compress=CompressSpec(candidates=("fp32",))))
    again = run_job(job.model_copy(update={"steps": steps}), timeout_s=120)
    assert again.fit is None
    assert again.checkpoint == result.checkpoint
    assert again.predictions["held_out"].sha256 == result.predictions["held_out"].sha256
    assert again.artifacts["fp32"].sha256 == result.artifacts["fp32"].sha256


def test_an_export_trains_what_it_is_asked_for_and_says_what_it_gave_up(
    trained: Trained,
) -> None:
    job, _, _ = trained
    candidates = ("fp32", "distilled", "int8_aware", "distilled_int8")
    # Of several ways to calibrate, validation rows choose.
    compress = CompressSpec(candidates=candidates, calibration="auto")
    about = {"model": "f" * 64}
    export = Export(compress=compress, about=about, train=make_fit().train, most_lost=0.3)
    made = run_job(job.model_copy(update={"steps": (export,)}), timeout_s=300)
    assert set(made.artifacts) | set(made.not_made) == set(compress.candidates)
    assert {"fp32", "distilled", "distilled_int8"} <= set(made.artifacts)
    assert made.artifacts["distilled"].size_bytes < made.artifacts["fp32"].size_bytes
    short = compress.model_copy(update={"max_minutes": 1e-6})
    export = export.model_copy(update={"compress": short})
    made = run_job(job.model_copy(update={"steps": (export,)}), timeout_s=300)
    assert set(made.artifacts) == {"fp32"}
    assert "raise compress.max_minutes" in made.not_made["distilled_int8"]


def test_diverged_training_names_its_rows_and_keeps_them(workspace: Store, tmp_path: Path) -> None:
    optimizer = {"name": "sgd", "lr": 10.0}
    fit = make_fit(optimizer=optimizer, clip_norm=None, explode_factor=1.5, max_epochs=50)
    with pytest.raises(WorkerFailed, match=r"training loss \(epoch \d+, step \d+\)") as caught:
        run_job(make_job(workspace, tmp_path, fit), timeout_s=60)
    assert caught.value.kind == "DivergedError"
    with np.load(tmp_path / "diverged.rank0.npz") as rows:
        assert rows["sample"].shape == (32, 1, 8, 8)
        assert str(rows["row_id"][0]) in str(caught.value)


def test_split_that_cannot_be_answered_is_told_of_before_training(
    workspace: Store, tmp_path: Path
) -> None:
    job = make_job(workspace, tmp_path, make_fit(), Predict(split="no_such"))
    with pytest.raises(NotFound, match="no_such"):
        do_job(job, told_at=time.monotonic())
    assert not (tmp_path / "metrics.jsonl").exists(), "it was trained first"


def test_only_the_same_training_is_resumed(workspace: Store, tmp_path: Path) -> None:
    job = make_job(workspace, tmp_path, make_fit())
    same = identify_fit(job, make_fit(devices=2, timeout_s=3, log_every_steps=1))
    assert identify_fit(job, make_fit()) == same
    assert identify_fit(job, make_fit(seed=1)) != same
    assert identify_fit(job, make_fit(max_epochs=4)) != same


def test_weights_to_start_from_are_never_left_out_in_silence(
    workspace: Store, tmp_path: Path
) -> None:
    fit = make_fit(start_from={"url": "weights.safetensors"})
    with pytest.raises(SpecError, match="must go with the weights that were found for it"):
        Worker(make_job(workspace, tmp_path, fit)).read_start(fit)


def test_job_file_holds_no_secret_of_an_address() -> None:
    spec = TrainSpec(
        start_from={"url": "https://user:hunter2@example.invalid/w?token=hunter3", "freeze": ["fc"]}
    )
    hidden = hide_url(spec)
    assert "hunter" not in hidden.model_dump_json()
    assert hidden.start_from is not None
    assert hidden.start_from.freeze == ("fc",)
    assert hide_url(TrainSpec()) == TrainSpec()
