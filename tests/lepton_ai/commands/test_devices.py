import json
from pathlib import Path

import pytest

from tests.flows.material import call


@pytest.fixture(autouse=True)
def _own_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEPTON_CONFIG_DIR", str(tmp_path / "config"))


def test_a_device_is_enrolled_listed_and_revoked(tmp_path: Path) -> None:
    state, workspace = str(tmp_path / "state"), str(tmp_path / "workspace")
    enrolled = call("edge", "enroll", "--state", state, "--id", "d1")
    assert enrolled.status == 0, enrolled.messages
    code = enrolled.out.splitlines()[-1]
    assert call("edge", "enroll", "--state", state, "--id", "d1").out == enrolled.out
    added = call("devices", "add", code, "--class", "camera", "--group", "north", "-w", workspace)
    assert added.status == 0, added.messages
    assert "device d1" in added.messages
    listed = call("devices", "list", "--workspace", workspace, "--json")
    (record,) = json.loads(listed.out)["devices"]
    assert (record["id"], record["device_class"], record["group"]) == ("d1", "camera", "north")
    assert call("devices", "revoke", "d1", "--workspace", workspace).status == 0
    assert (
        "d1  class camera, group north" in (shown := call("devices", "list", "-w", workspace)).out
    )
    assert "REVOKED" in shown.out
    again = call("devices", "add", code, "--class", "camera", "--workspace", workspace)
    assert again.status == 1
    assert "was revoked" in again.messages


def test_what_is_wrong_is_said_in_one_sentence(tmp_path: Path) -> None:
    workspace = str(tmp_path / "workspace")
    for arguments, message in (
        (("devices", "add", "no code", "--class", "c"), "enrolment code must begin with"),
        (("devices", "revoke", "d9"), "must be enrolled"),
    ):
        outcome = call(*arguments, "--workspace", workspace)
        assert outcome.status == 1
        assert message in outcome.messages
    bad = call("edge", "enroll", "--state", str(tmp_path / "s"), "--id", "NO")
    assert (bad.status, bad.out) == (1, "")
    (tmp_path / "workspace" / "devices").mkdir(parents=True)
    (tmp_path / "workspace" / "devices" / "d2.json").write_text("{}")
    listed = call("devices", "list", "--workspace", workspace)
    assert listed.status == 1
    assert "record of device d2" in listed.messages


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--policy", "some"), "policy (some) must be"),
        (("--class", "NO"), "device class (NO) must be"),
        (("--channel", "x/NO"), "must have a name of a-z"),
        (("--channel", "absent"), "channel (absent) must"),
    ],
)
def test_an_agent_that_cannot_start_says_why(
    tmp_path: Path, options: tuple[str, ...], message: str
) -> None:
    outcome = call(
        *("edge", "run", "--id", "d1", "--state", str(tmp_path / "state")),
        *("--channel", "edge", "--uplink", str(tmp_path / "uplinks"), "-w", str(tmp_path / "w")),
        *options,
    )
    assert outcome.status == 1
    assert message in outcome.messages
