"""Promotion: of two that were judged against the same champion, one wins and the other says so."""

import shutil
from pathlib import Path

import pytest

from deployments.targets.trust.keys import KeyRing
from flows.recipe.load import load_recipe
from lightning_modules.specs.samples import ImageSample
from storage.base.store import Store
from storage.records.receipt_files import list_model_receipts
from storage.records.receipts import Receipt
from tasks.forms.registry import find_task_form
from tasks.objectives.registry import find_objective
from tasks.release.promote import promote
from tasks.runtime.errors import StageStopped
from tasks.runtime.outcomes import Compressed
from tasks.runtime.outcomes import Promoted as Outcome
from tests.flows.conftest import Promoted
from tests.flows.material import FAST, call, digits, read_channels, run, write_digits

pytestmark = pytest.mark.prefect


def _redraft(promoted: Promoted, expected: int | None) -> Receipt:
    """A green receipt that clears fp32, not int8, for the edge, judged against that release."""
    store = Store(str(promoted.workspace))
    receipt = list_model_receipts(store, promoted.summary["model_id"])[-1].receipt
    fp32 = next(entry for entry in receipt.artifacts if entry.name == "fp32")
    edge = receipt.channels["edge"].model_copy(
        update={"artifact": "fp32", "sha256": fp32.sha256, "expected": expected}
    )
    artifacts = tuple(
        entry.model_copy(update={"chosen_for": ("edge",) if entry.name == "fp32" else ()})
        for entry in receipt.artifacts
    )
    return receipt.model_copy(update={"channels": {"edge": edge}, "artifacts": artifacts})


def _promote(promoted: Promoted, expected: int | None) -> Outcome:
    """Promotes that receipt, as the stage does."""
    recipe = load_recipe("digits", FAST)
    image = recipe.data.image
    sample = ImageSample(
        shape=image.shape, dtype=image.dtype, value_range=image.value_range, classes=10
    )
    compressed = Compressed.model_construct(
        model_id=promoted.summary["model_id"],
        input=find_task_form(recipe.data).describe_input(sample, recipe.data),
        outputs=find_objective(sample).describe_outputs(sample, recipe.data),
    )
    receipt = _redraft(promoted, expected)
    return promote.fn(str(promoted.workspace), receipt, compressed, recipe.name, recipe.kind)


def test_the_release_that_was_judged_against_another_champion_is_stopped(
    own_promoted: Promoted,
) -> None:
    before = read_channels(own_promoted.workspace)
    with pytest.raises(StageStopped) as caught:
        _promote(own_promoted, None)
    assert caught.value.stage == "promote"
    assert "release 1" in caught.value.reasons[0]
    assert read_channels(own_promoted.workspace) == before


def test_the_release_that_was_to_be_first_on_a_channel_that_another_machine_made_is_stopped(
    own_promoted: Promoted,
) -> None:
    shutil.rmtree(KeyRing().directory / "channels")
    before = read_channels(own_promoted.workspace)
    with pytest.raises(StageStopped, match=r"made it first.*`lepton keys import`"):
        _promote(own_promoted, None)
    assert read_channels(own_promoted.workspace) == before


def test_the_release_that_was_judged_against_the_champion_follows_it(
    own_promoted: Promoted,
) -> None:
    assert _promote(own_promoted, 1).releases == {"edge": 2}


def test_channel_that_carries_other_samples_stops_the_run_before_it_collects(
    own_promoted: Promoted, dask_scheduler: str, tmp_path: Path
) -> None:
    images, labels = digits()
    settings = write_digits(tmp_path / "files", images=images[:, 1:, :], labels=labels)
    settings |= {"data.image.shape": [1, 7, 8]}
    before = read_channels(own_promoted.workspace)
    outcome = run("mnist", own_promoted.workspace, dask_scheduler, settings)
    assert outcome.status == 3
    assert "targets.edge (recipe digits, of which differ: data.image.shape)" in outcome.messages
    assert "name another channel in targets, or use another workspace" in outcome.messages
    assert (outcome.summary["status"], outcome.summary["stopped_at"]) == ("stopped", "recipe")
    assert outcome.summary["receipt"] is None
    assert outcome.summary["channels"] == {"edge": None, "cloud": None}
    assert not list((own_promoted.workspace / "datasets").glob("spoiled*"))
    assert read_channels(own_promoted.workspace) == before


def test_channel_that_came_to_carry_other_samples_stops_the_run_before_it_trains(
    own_promoted: Promoted, dask_scheduler: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flows.run.clashes.find_clashes", lambda recipe, workspace: [])
    images, labels = digits()
    settings = write_digits(tmp_path / "files", images=images[:, 1:, :], labels=labels)
    before = read_channels(own_promoted.workspace)
    outcome = run(
        "mnist", own_promoted.workspace, dask_scheduler, {**settings, "data.image.shape": [1, 7, 8]}
    )
    assert outcome.status == 3
    assert outcome.summary["stopped_at"] == "train"
    assert (
        "channel edge must carry models for the same samples; got release 1"
        in outcome.summary["reasons"][0]
    )
    assert "another channel in targets, or use another workspace" in outcome.summary["reasons"][0]
    assert read_channels(own_promoted.workspace) == before
    assert (
        call(
            "verify", outcome.summary["receipt"], "--workspace", str(own_promoted.workspace)
        ).status
        == 0
    )
