"""The table of attacks: none is accepted, and the verified model goes on answering."""

import re
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

from deployments.targets.errors import ChannelRefused
from deployments.targets.run.live import Runtime
from tests.deployments.targets.follow.attacks import ATTACKS, Scene
from tests.deployments.targets.material import make_channel, publish_model

RAW = np.random.default_rng(0).integers(0, 17, (3, 1, 8, 8), dtype=np.uint8)
SEEN_ONLY_BY_WHO_FOLLOWED = frozenset({"rollback", "older_number"})
"""Old states were valid once: who never saw a newer one takes them."""


def test_the_table_is_long_enough() -> None:
    assert len(ATTACKS) >= 40


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_is_refused_and_the_verified_model_answers(
    workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    act, refusal = ATTACKS[name]
    channel = make_channel(workspace)
    publish_model(channel, 1, None)
    device = Runtime("edge", str(workspace))
    with ExitStack() as stack:
        act(Scene(workspace, channel, device.refresh, monkeypatch, stack))
        verified = device.current
        answers = verified.answer(RAW).values
        assert device.refresh() == "refused"
        assert device.current is verified
        assert re.search(refusal, device.state.reason or ""), device.state.reason
        # After a restart, too.
        again = Runtime("edge", str(workspace))
        assert again.state.status == "refused"
        assert (again.current.model_id, again.current.release) == (
            verified.model_id,
            verified.release,
        )
        np.testing.assert_array_equal(again.current.answer(RAW).values, answers)
        if name not in SEEN_ONLY_BY_WHO_FOLLOWED:
            with pytest.raises(ChannelRefused, match="no model was verified here before"):
                Runtime("edge", str(workspace), cache=tmp_path / "fresh")
    assert not [path for path in tmp_path.rglob("*") if path.name.startswith("was-")]
