"""Promote: a channel that a person holds stops the run before anything is signed or published."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from deployments.targets.publish.steering import hold_channel, retire_channel
from deployments.targets.specs import TargetSpec
from deployments.targets.trust.rollout import EVERYBODY, make_rollout
from storage.records.receipts import ChannelRecord, Receipt
from tasks.release.promote import find_rollout, promote
from tasks.runtime.errors import StageStopped
from tasks.runtime.outcomes import Compressed
from tests.deployments.targets.material import make_channel, publish_model

STOPS = {"held": hold_channel, "retired": retire_channel}


@pytest.mark.parametrize("word", STOPS)
def test_a_stopped_channel_stops_the_run_and_says_who_stopped_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, word: str
) -> None:
    monkeypatch.setenv("LEPTON_CONFIG_DIR", str(tmp_path / "config"))
    monkeypatch.setenv("LEPTON_CACHE_DIR", str(tmp_path / "cache"))
    workspace = tmp_path / "workspace"
    channel = make_channel(workspace)
    publish_model(channel, 1, None)
    STOPS[word](channel, author="ada", reason="holidays")
    record = ChannelRecord.model_construct(artifact="int8", sha256="b" * 64, expected=1)
    receipt = Receipt.model_construct(run="r", channels={"cloud": record, "edge": record})
    before = sorted(workspace.rglob("*"))
    with pytest.raises(StageStopped, match=f"{word} by ada .*: holidays") as caught:
        promote.fn(str(workspace), receipt, Compressed.model_construct(), "digits", "kind")
    assert caught.value.stage == "promote"
    assert sorted(workspace.rglob("*")) == before


def test_a_target_says_whom_a_new_release_reaches_first() -> None:
    assert find_rollout(TargetSpec()) == EVERYBODY
    target = TargetSpec(share=0.1, classes=("camera",), not_before=datetime(2026, 3, 1, tzinfo=UTC))
    assert find_rollout(target) == make_rollout(0.1, target.not_before, ("camera",))
