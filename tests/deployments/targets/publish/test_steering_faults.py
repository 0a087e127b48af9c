"""Decisions on a channel, killed at every step: the channel stays valid, the next call finishes."""

from pathlib import Path

import pytest

from deployments.targets.follow.client import update_model
from deployments.targets.publish.history import read_log
from deployments.targets.publish.status import describe_channel, list_history
from deployments.targets.publish.steering import roll_back, widen_release
from deployments.targets.trust.rollout import make_rollout
from tests.deployments.targets.kills import count_kills, every_step
from tests.deployments.targets.material import make_channel, make_onnx, publish_model

pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")


@every_step
def test_kill_at_every_step_of_promote_and_rollback(
    workspace: Path, tmp_path: Path, stride: int
) -> None:
    channel = make_channel(workspace)
    publish_model(channel, 1, None)
    number, cache = 1, tmp_path / "device"

    def prepare() -> None:
        publish_model(channel, 100 + number, number)

    def act() -> None:
        if describe_channel(channel).offers[0].release.number == number + 1:
            widen_release(channel, make_rollout(0.5), author="ada")
        roll_back(channel, number, author="ada", reason="worse")

    def check(step: int) -> None:
        nonlocal number
        kept = update_model("edge", str(workspace), cache=cache).model.data
        assert kept in (make_onnx(1), make_onnx(100 + number))
        act()
        act()
        assert update_model("edge", str(workspace), cache=cache).model.data == make_onnx(1)
        assert describe_channel(channel).offers[0].release.number == number + 2
        decided = [entry.version for entry in list_history(channel) if entry.decision is not None]
        assert [line["version"] for line in read_log(channel)] == decided
        number += 2

    assert count_kills(stride, act, check, prepare) >= 20
