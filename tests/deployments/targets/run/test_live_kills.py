"""A device is killed at every step of taking a release: a verified model always answers."""

from pathlib import Path

import pytest

from deployments.targets.run.live import Runtime
from tests.deployments.targets.kills import count_kills, every_step
from tests.deployments.targets.material import make_channel, publish_model

# A forked child here ends or is killed without touching a lock that a thread of its parent may
# hold.
pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")


@every_step
def test_kill_at_every_step_of_an_update(workspace: Path, tmp_path: Path, stride: int) -> None:
    channel = make_channel(workspace)
    publish_model(channel, 1, None)
    Runtime("edge", str(workspace))
    publish_model(channel, 2, 1)
    number = 2

    def act() -> None:
        Runtime("edge", str(workspace))

    def check(step: int) -> None:
        nonlocal number
        workspace.rename(tmp_path / "away")
        alone = Runtime("edge", str(workspace))
        assert alone.state.status == "refused"
        assert alone.current.release in (number - 1, number)
        (tmp_path / "away").rename(workspace)
        assert Runtime("edge", str(workspace)).current.release == number
        number += 1
        publish_model(channel, number, number - 1)
        assert Runtime("edge", str(workspace)).current.release == number
        number += 1
        publish_model(channel, number, number - 1)

    assert count_kills(stride, act, check) >= 30
    (folder,) = (tmp_path / "cache/channels").iterdir()
    names = {"channel.json", "lock", "metadata", "models", "verified.json"}
    assert {path.name for path in folder.iterdir()} == names
    assert len(list((folder / "models").iterdir())) == 2
    left = [path.name for path in (folder / "metadata").glob("**/*") if path.suffix != ".json"]
    assert set(left) <= {"root_history"}
