"""`lepton channel`, as a person types it."""

import json
from pathlib import Path

import pytest

from deployments.targets.publish.channel import open_channel
from tests.deployments.targets.material import publish_model
from tests.flows.material import Outcome, call


@pytest.fixture(autouse=True)
def _own_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEPTON_CONFIG_DIR", str(tmp_path / "config"))
    monkeypatch.setenv("LEPTON_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("LEPTON_WORKSPACE", str(tmp_path / "workspace"))
    monkeypatch.setenv("LEPTON_AUTHOR", "ada")


def steer(*arguments: str) -> Outcome:
    outcome = call("channel", *arguments)
    assert outcome.status == 0, outcome.messages
    return outcome


def test_an_operator_steers_a_channel_and_sees_what_was_done(tmp_path: Path) -> None:
    steer("init", "edge")
    channel = open_channel(str(tmp_path / "workspace"), "edge")
    publish_model(channel, 1, None)
    publish_model(channel, 2, 1)
    assert "12.5 % of the devices of class camera" in (
        steer("promote", "edge", "--share", "0.125", "--class", "camera").messages
    )
    assert "release 3" in steer("rollback", "edge", "--reason", "worse").messages
    held = steer("hold", "edge", "--reason", "see https://bo:secret@host/x\n99 by eve").messages
    assert "held by ada" in held
    found = json.loads(steer("status", "edge", "--json").out)
    assert [(o["release"]["number"], found["stop"]["kind"]) for o in found["offers"]] == [
        (3, "hold")
    ]
    shown = steer("history", "edge").out.splitlines()
    assert [line.split()[2] for line in shown] == [
        "init",
        "release",
        "release",
        "promote",
        "rollback",
        "hold",
    ]
    assert "rollback by ada: worse" in shown[4]
    assert "see https://***@host/x 99 by eve" in shown[5]
    again = call("channel", "init", "edge", "--role", "root=2/3")
    assert (again.status, "has 1 of 1" in again.messages) == (1, True)
    assert "release   3" in steer("status", "edge").out
    steer("hold", "edge", "--off")
    assert "pinned" in steer("pin", "edge", "2").messages
    steer("pin", "edge", "--off")
    steer("refresh", "edge")
    assert "offers nothing" in steer("retire", "edge", "--reason", "over").messages
    refused = call("channel", "hold", "edge")
    assert (refused.status, "retired by ada" in refused.messages) == (1, True)


def test_keys_are_backed_up_split_and_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LEPTON_PASSPHRASE", "correct horse")
    steer("init", "edge", "--role", "root=2/3")
    assert "root      2 of 3 keys" in steer("status", "edge").out
    backup = str(tmp_path / "backup")
    assert "6 channel keys" in call("keys", "backup", backup).messages
    assert "checked" in call("keys", "restore", backup, "--check").messages
    assert call("keys", "split", "edge", "--into", str(tmp_path / "stick")).status == 0
    files = [str(path) for path in (tmp_path / "stick").iterdir()]
    rotate = ("rotate-key", "edge", "targets", "--reason", "yearly")
    assert call("channel", *rotate, "--keys", files[0]).status == 1
    steered = steer(*rotate, "--keys", files[0], "--keys", files[2])
    assert "root 3" in steered.messages
    assert "rotate-key by ada: yearly" in steer("history", "edge").out
    steer("refresh", "edge")


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (("status", "edge"), 1, "must exist"),
        (("status", "EDGE"), 1, "must have a name of a-z"),
        (("pin", "edge"), 2, "pin must get the number of a release, or --off"),
        (("promote", "edge", "--not-before", "soon"), 2, "must be a time by ISO 8601"),
        (("init", "edge", "--role", "root=3/2"), 2, "must be ROLE=K/N"),
        (("rotate-key", "edge", "boss", "--reason", "x"), 2, "role (boss) must be one of root"),
        (("rotate-key", "edge", "root", "--reason", "x", "--command", "y"), 2, "give both"),
        (("promote", "edge", "--class", "NO"), 1, "device class (NO) must be"),
        (("hold", "edge", "--reason", "x" * 2001), 2, "at most 2000 letters; got 2001"),
        (("hold", "edge", "--author", "x" * 2001), 2, "at most 2000 letters; got 2001"),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence(
    arguments: tuple[str, ...], status: int, message: str
) -> None:
    outcome = call("channel", *arguments)
    assert (outcome.status, message in outcome.messages) == (status, True), outcome.messages
