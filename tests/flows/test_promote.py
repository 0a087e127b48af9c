"""Promotion: of two that were judged against the same champion, one wins and the other says so."""

import pytest

from flows.recipe import load_recipe
from storage.files import Store
from storage.receipts import Receipt, list_model_receipts
from tasks.errors import StageStopped
from tasks.promote import promote
from tests.flows.conftest import Promoted
from tests.flows.material import FAST, read_channels

pytestmark = pytest.mark.prefect


def _redraft(promoted: Promoted, expected: int | None) -> Receipt:
    """A green receipt that clears fp32, not int8, for the edge, judged against that release."""
    store = Store(str(promoted.workspace))
    receipt = list_model_receipts(store, promoted.summary["model_id"])[-1].receipt
    fp32 = next(entry for entry in receipt.artifacts if entry.name == "fp32")
    edge = receipt.channels["edge"].model_copy(update={"artifact": "fp32", "sha256": fp32.sha256, "expected": expected})
    artifacts = tuple(
        entry.model_copy(update={"chosen_for": ("edge",) if entry.name == "fp32" else ()})
        for entry in receipt.artifacts
    )
    return receipt.model_copy(update={"channels": {"edge": edge}, "artifacts": artifacts})


def test_the_release_that_was_judged_against_another_champion_is_stopped(own_promoted: Promoted) -> None:
    recipe = load_recipe("digits", FAST)
    before = read_channels(own_promoted.workspace)
    with pytest.raises(StageStopped) as caught:
        promote.fn(str(own_promoted.workspace), _redraft(own_promoted, None), recipe.name, recipe.kind, recipe.data)
    assert caught.value.stage == "promote"
    assert "release 1" in caught.value.reasons[0]
    assert read_channels(own_promoted.workspace) == before


def test_the_release_that_was_judged_against_the_champion_follows_it(own_promoted: Promoted) -> None:
    recipe = load_recipe("digits", FAST)
    done = promote.fn(str(own_promoted.workspace), _redraft(own_promoted, 1), recipe.name, recipe.kind, recipe.data)
    assert done.releases == {"edge": 2}
