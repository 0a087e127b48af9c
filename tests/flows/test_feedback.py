"""The loop closes: answers come back with their truth, the champion is worse on them, the
next model is trained on old and new rows and promoted; whatever is killed, the next call finishes.
"""

import json
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.ndimage import rotate

from deployments.targets.publish.channel import open_channel, read_champion
from storage.base.store import Store
from storage.datasets.dataset import Dataset
from storage.records.receipt_files import read_receipt
from tasks.feedback.decisions import read_decisions
from tasks.feedback.pending import read_pending
from tests.flows.conftest import Promoted
from tests.flows.material import FAST, Outcome, call, digits
from tests.flows.processes import Command, fast_settings
from tests.uplinks import Device

pytestmark = pytest.mark.prefect
ROWS = 300
SETTINGS = {**FAST, "train.max_epochs": 4, "gates.model.min_accuracy": 0.7}
CHANNELS = ("edge", "cloud")


def send_turned(promoted: Promoted, folder: Path, degrees: float = 60) -> Path:
    """Digits that are turned come back; gives the file of their truths."""
    store = Store(promoted.workspace)
    images, labels = digits()
    chosen = np.random.default_rng(2).permutation(len(images))[:ROWS]
    turned = rotate(images[chosen].astype(float), degrees, axes=(1, 2), reshape=False, order=1)
    inputs = np.clip(np.round(turned), 0, 16).astype(np.uint8)[:, np.newaxis]
    device, ids = Device(store).enroll(), []
    for start in range(0, ROWS, 100):
        ids += device.send(inputs[start : start + 100], promoted.summary["model_id"])[1]
    path = folder / "truths.csv"
    pairs = zip(ids, labels[chosen].tolist(), strict=True)
    path.write_text("answer_id,truth\n" + "".join(f"{name},{label}\n" for name, label in pairs))
    return path


def list_arguments(
    promoted: Promoted, truth: Path | None = None, settings: dict[str, Any] | None = None
) -> list[str]:
    told = ["--truth", str(truth)] if truth is not None else []
    chosen = fast_settings({**SETTINGS, **(settings or {})})
    return ["feedback", "digits", "--workspace", str(promoted.workspace), "--json", *told, *chosen]


def give(promoted: Promoted, scheduler: str, *more: Any) -> Outcome:
    return call(*list_arguments(promoted, *more), "--scheduler", scheduler)


def expect_one_retraining(promoted: Promoted) -> None:
    """Every answer is a row once, and each channel has one decision and one release more."""
    store = Store(promoted.workspace)
    ids = Dataset(store, "digits-feedback").open().read(fields=("row_id",))["row_id"]
    assert len(ids) == len(set(ids.tolist())) == ROWS
    assert read_pending(store, "digits") is None
    for name in CHANNELS:
        lines = [each for each in read_decisions(store, name) if each.decision == "retrain"]
        assert len(lines) == 1
        assert lines[0].champion == promoted.summary["model_id"]
        release = read_champion(open_channel(store, name))
        assert release is not None
        # A run that was killed while it published signs a receipt again, of the same model.
        receipt = read_receipt(store, str(lines[0].receipt)).receipt
        assert receipt.promoted
        assert (release.number, release.model_id) == (2, receipt.model_id)


@pytest.mark.slow  # tests/flows/test_round.py goes the whole way by default
def test_turned_digits_lead_to_a_better_model_once(
    own_promoted: Promoted, tmp_path: Path, dask_scheduler: str
) -> None:
    truth = send_turned(own_promoted, tmp_path)
    asked = give(own_promoted, dask_scheduler)
    assert asked.status == 0, asked.messages
    assert (asked.summary["collected"], asked.summary["decision"]) == (ROWS, "ask")
    assert asked.summary["receipt"] is None
    outcome = give(own_promoted, dask_scheduler, truth)
    assert outcome.status == 0, outcome.messages
    summary = outcome.summary
    assert list(summary) == ["collected", "dataset", "decision", "evidence", "receipt"]
    assert (summary["collected"], summary["decision"]) == (0, "retrain")
    assert summary["dataset"].startswith("digits-feedback@")
    verified = call("verify", summary["receipt"], "--workspace", str(own_promoted.workspace))
    assert verified.status == 0, verified.messages
    receipt = json.loads(Path(summary["receipt"]).read_bytes())["signed"]
    document = receipt["recipe"]["document"]
    assert document["source"]["type"] == "joined"
    assert document["train"]["start_from"]["model"] == own_promoted.summary["model_id"]
    assert receipt["datasets"]["raw"]["rows"] == {"": 1797 + ROWS}
    figures = {
        each["name"]: each["value"] for each in receipt["figures"] if each["split"] == "held_out"
    }
    for champion in receipt["champions"].values():
        old = next(each["value"] for each in champion if each["name"] == "accuracy")
        assert figures["accuracy"] > old
    expect_one_retraining(own_promoted)
    again = give(own_promoted, dask_scheduler)
    assert (again.status, again.summary["decision"]) == (0, "nothing")
    expect_one_retraining(own_promoted)


def test_a_retraining_that_a_gate_stopped_is_not_tried_again_by_itself(
    own_promoted: Promoted, tmp_path: Path, dask_scheduler: str
) -> None:
    truth = send_turned(own_promoted, tmp_path)
    strict = {"gates.raw.min_rows": 10_000}
    stopped = give(own_promoted, dask_scheduler, truth, strict)
    assert stopped.status == 3, stopped.messages
    assert stopped.summary["decision"] == "retrain"
    assert Path(stopped.summary["receipt"]).is_file()
    again = give(own_promoted, dask_scheduler, None, strict)
    assert (again.status, again.summary["decision"]) == (0, "ask")
    assert "was stopped before" in again.messages
    release = read_champion(open_channel(str(own_promoted.workspace), "edge"))
    assert release is not None
    assert release.number == 1


MOMENTS = (
    "truths",
    "collect feedback",
    "gate live",
    "measure champion",
    "collect   ",
    "gate raw",
    "gate prepared",
    "train",
    "gate model",
    "gate artifact",
    "promote",
)
"""Each kill falls into what follows the line that begins with these words, or the truths' file."""
QUICK = ("gate artifact",)


@pytest.mark.parametrize(
    "moment",
    [each if each in QUICK else pytest.param(each, marks=pytest.mark.slow) for each in MOMENTS],
)
def test_whenever_it_is_killed_the_next_call_finishes(
    own_promoted: Promoted, tmp_path: Path, moment: str, dask_scheduler: str
) -> None:
    truth = send_turned(own_promoted, tmp_path)
    victim = Command(*list_arguments(own_promoted, truth), cwd=tmp_path, is_warm=True)
    if moment == "truths":
        while not list((own_promoted.workspace / "uplinks/by-hand").glob("truth-*")):
            assert victim.process.poll() is None, victim.messages
    else:
        victim.wait_for(moment)
    victim.end(signal.SIGKILL)
    victim.expect_nothing_left()
    outcome = give(own_promoted, dask_scheduler)
    assert outcome.status == 0, outcome.messages
    last = read_decisions(Store(own_promoted.workspace), "edge")[-1]
    # Where the kill came after the decision was logged, there is nothing left to decide.
    assert outcome.summary["decision"] in ("retrain", "nothing")
    assert last.decision == outcome.summary["decision"]
    expect_one_retraining(own_promoted)


def test_two_at_once_are_one_after_the_other(
    own_promoted: Promoted, tmp_path: Path, dask_scheduler: str
) -> None:
    from flows.run.exclusive import hold_alone

    with hold_alone(Store(own_promoted.workspace), "feedback-digits"):
        outcome = give(own_promoted, dask_scheduler)
    assert outcome.status == 1
    assert "once at a time" in outcome.messages


def test_what_is_wrong_is_said_at_once(own_promoted: Promoted, tmp_path: Path) -> None:
    workspace = ("--workspace", str(own_promoted.workspace))
    assert call("feedback", "no-such-recipe", *workspace).status == 2
    path = tmp_path / "truths.csv"
    path.write_text("answer,truth\n")
    outcome = call("feedback", "digits", *workspace, "--truth", str(path))
    assert (outcome.status, outcome.out) == (2, "")
    assert call("feedback", "digits", *workspace, "--truth", str(tmp_path / "no.csv")).status == 2


def test_without_a_model_there_is_nothing_to_decide(
    tmp_path: Path, prefect_url: str, dask_scheduler: str
) -> None:
    outcome = call("feedback", "digits", "--workspace", str(tmp_path / "new"), "--json")
    assert outcome.status == 0, outcome.messages
    assert outcome.summary["decision"] == "nothing"
    assert (outcome.summary["collected"], outcome.summary["dataset"]) == (0, None)
    assert "run the recipe first" in outcome.messages
