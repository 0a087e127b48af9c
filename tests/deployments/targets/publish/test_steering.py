"""What an operator decides on a channel: rollouts, rollbacks, holds, and the log of it all."""

import itertools
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from deployments.targets.errors import (
    ChannelAbsent,
    ChannelError,
    ChannelHeld,
    ChannelRefused,
    NotCleared,
)
from deployments.targets.follow.client import ChannelClient, Update
from deployments.targets.publish import history
from deployments.targets.publish.channel import open_channel, publish, refresh
from deployments.targets.publish.history import read_log
from deployments.targets.publish.repository import Channel
from deployments.targets.publish.status import describe_channel, list_history
from deployments.targets.publish.steering import (
    hold_channel,
    lift_stop,
    pin_release,
    retire_channel,
    roll_back,
    widen_release,
)
from deployments.targets.trust.release import Release
from deployments.targets.trust.rollout import (
    EVERYBODY,
    NOBODY,
    WHOLE,
    Rollout,
    Taker,
    draw_place,
    make_rollout,
)
from storage.base.errors import Corrupt
from tests.deployments.targets.material import make_channel, make_onnx, make_run, publish_model

NOW = datetime.now(UTC)
NAMES = [f"device-{number}" for number in range(4000)]
CANARY = min(NAMES, key=draw_place)
LAST = max(NAMES, key=draw_place)
OPERATOR = {"author": "ada", "reason": "more errors than before"}


@pytest.fixture
def channel(workspace: Path) -> Channel:
    """A channel with two releases, of models 1 and 2."""
    made = make_channel(workspace)
    publish_model(made, 1, None)
    publish_model(made, 2, 1)
    return made


def test_a_change_reads_no_more_commits_the_older_a_channel_is(
    channel: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that is signed anew each day has a commit a day, most of which decide nothing."""
    seen: list[int] = []
    read = history._read_commit

    def count(channel: Channel, roots: Any, version: int) -> Any:
        seen.append(version)
        return read(channel, roots, version)

    monkeypatch.setattr(history, "_read_commit", count)
    for _ in range(4):
        refresh(channel)
    seen.clear()
    refresh(channel)
    assert len(seen) <= 1
    # Who has lost its memory, or its log, finds out all of it again.
    lines = read_log(channel)
    (channel.keys.directory / "channels" / channel.keys.channel_ids()[0] / "logged").unlink()
    hold_channel(channel, **OPERATOR)
    assert [line["version"] for line in read_log(channel)][: len(lines)] == [
        line["version"] for line in lines
    ]
    assert channel.workspace is not None
    channel.workspace.write("releases/edge.jsonl", b"")
    refresh(channel)
    assert [line["action"] for line in read_log(channel)] == [
        *(line["action"] for line in lines),
        "hold",
    ]


def publish_to(channel: Channel, seed: int, expected: int | None, rollout: Rollout) -> Release:
    data = make_onnx(seed)
    receipt, files = make_run(data, {channel.name: expected}, channel.keys)
    return publish(
        channel,
        receipt=receipt,
        files=files,
        artifact="int8",
        expected=expected,
        rollout=rollout,
    )


def ask(channel: Channel, cache: Path, taker: Taker = NOBODY) -> Update:
    folder = cache / f"{taker.id}-{taker.device_class}"
    return ChannelClient(channel.store.url, cache=folder, taker=taker).update()


def seed_of(update: Update) -> int:
    return next(seed for seed in range(9) if make_onnx(seed) == update.model.data)


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5])
def test_a_share_reaches_that_share_of_the_devices_and_keeps_them_when_it_grows(
    share: float,
) -> None:
    small, large = make_rollout(share), make_rollout(share * 1.5)
    taken = {name for name in NAMES if small.find_hindrance(Taker(name), NOW) is None}
    assert len(taken) / len(NAMES) == pytest.approx(share, abs=4 * (share / len(NAMES)) ** 0.5)
    assert taken <= {name for name in NAMES if large.find_hindrance(Taker(name), NOW) is None}
    assert not {name for name in NAMES if make_rollout(0).find_hindrance(Taker(name), NOW) is None}


@pytest.mark.parametrize(
    ("rollout", "taker", "reached"),
    [
        (EVERYBODY, NOBODY, True),
        (make_rollout(0.999), NOBODY, False),
        (make_rollout(0.999), Taker(CANARY), True),
        (make_rollout(device_classes=("camera",)), Taker(CANARY, "camera"), True),
        (make_rollout(device_classes=("camera",)), Taker(CANARY, "gateway"), False),
        (make_rollout(device_classes=("camera",)), Taker(CANARY), False),
        (make_rollout(not_before=NOW + timedelta(hours=1)), Taker(CANARY), False),
        (make_rollout(not_before=NOW), NOBODY, True),
    ],
)
def test_whom_a_rollout_reaches(rollout: Rollout, taker: Taker, reached: bool) -> None:
    assert (rollout.find_hindrance(taker, NOW) is None) is reached


def test_canaries_come_first_and_then_everybody(channel: Channel, tmp_path: Path) -> None:
    publish_to(channel, 3, 2, make_rollout(0.01))
    takers = [Taker(CANARY), Taker(LAST), NOBODY]
    assert [seed_of(ask(channel, tmp_path, taker)) for taker in takers] == [3, 2, 2]
    # A device that has it keeps it, also where the share shrinks.
    widen_release(channel, make_rollout(0), author="ada")
    kept = [ask(channel, tmp_path, taker) for taker in takers]
    assert [(update.status, seed_of(update)) for update in kept] == [
        ("current", 3),
        ("current", 2),
        ("current", 2),
    ]
    widen_release(channel, EVERYBODY, author="ada")
    assert [seed_of(ask(channel, tmp_path, taker)) for taker in takers] == [3, 3, 3]
    assert len(describe_channel(channel).offers) == 1


def test_classes_and_times_are_obeyed_over_several_releases(
    channel: Channel, tmp_path: Path
) -> None:
    publish_to(channel, 3, 2, make_rollout(device_classes=("camera",)))
    later = make_rollout(not_before=datetime.now(UTC) + timedelta(hours=1))
    publish_to(channel, 4, 3, later)
    assert [each.release.number for each in describe_channel(channel).offers] == [4, 3, 2]
    assert seed_of(ask(channel, tmp_path, Taker("a", "camera"))) == 3
    assert seed_of(ask(channel, tmp_path, Taker("a", "gateway"))) == 2


def test_a_first_release_that_is_not_for_a_device_is_named(workspace: Path, tmp_path: Path) -> None:
    channel = make_channel(workspace)
    publish_to(channel, 1, None, make_rollout(device_classes=("camera",)))
    with pytest.raises(ChannelRefused, match="for class camera, not gateway"):
        ask(channel, tmp_path, Taker("a", "gateway"))


def test_a_release_for_everybody_leaves_no_trace_of_a_rollout(
    channel: Channel, workspace: Path
) -> None:
    """So clients made before rollouts read it."""
    metadata = workspace / "channels/edge/metadata"
    custom = json.loads((metadata / "3.targets.json").read_text())["signed"]["targets"][
        "receipt.json"
    ]["custom"]
    assert custom == describe_channel(channel).offers[0].release.model_dump(mode="json")
    publish_to(channel, 3, 2, make_rollout(0.5))
    steered = json.loads((metadata / "4.targets.json").read_text())["signed"]["targets"]
    assert steered["receipt.json"]["custom"]["format"] == 2
    with pytest.raises(ChannelError, match="use a newer Lepton"):
        Release.parse(steered["receipt.json"]["custom"], "there")


def test_a_rollback_is_a_new_release_of_old_bytes(channel: Channel, tmp_path: Path) -> None:
    assert seed_of(ask(channel, tmp_path)) == 2
    release = roll_back(channel, **OPERATOR).release
    assert release is not None
    assert (release.number, release.expected) == (3, None)
    assert seed_of(ask(channel, tmp_path)) == 1
    # The same again changes nothing, so a call that was killed may be repeated.
    assert roll_back(channel, **OPERATOR).release == release
    assert publish_model(channel, 4, 3).number == 4
    assert seed_of(ask(channel, tmp_path)) == 4
    back = roll_back(channel, 2, **OPERATOR).release
    assert back is not None
    assert (back.number, seed_of(ask(channel, tmp_path))) == (5, 2)


def test_a_rollback_ends_a_canary_for_those_who_took_it(channel: Channel, tmp_path: Path) -> None:
    publish_to(channel, 3, 2, make_rollout(0.01))
    assert seed_of(ask(channel, tmp_path, Taker(CANARY))) == 3
    roll_back(channel, **OPERATOR)
    assert [seed_of(ask(channel, tmp_path, Taker(name))) for name in (CANARY, LAST)] == [2, 2]


def test_what_cannot_be_rolled_back_to_is_refused(workspace: Path, channel: Channel) -> None:
    with pytest.raises(ChannelError, match=r"release \(7\) must be one of channel edge"):
        roll_back(channel, 7, **OPERATOR)
    trusted = channel.keys.directory / "trusted"
    held = {path: path.read_bytes() for path in trusted.iterdir()}
    for path in held:
        path.unlink()
    with pytest.raises(NotCleared, match="trusted keys"):
        roll_back(channel, 1, **OPERATOR)
    for path, data in held.items():
        path.write_bytes(data)
        path.chmod(0o600)
    first = list_history(channel)[1].release
    assert first is not None
    (workspace / f"channels/edge/targets/{first.sha256}.int8.onnx").write_bytes(b"junk")
    with pytest.raises(ChannelError, match=r"int8\.onnx.*restore it from a copy"):
        roll_back(channel, 1, **OPERATOR)
    assert describe_channel(channel).offers[0].release.number == 2


def test_a_first_release_has_nothing_before_it(workspace: Path) -> None:
    made = make_channel(workspace)
    with pytest.raises(ChannelError, match="must have a release to be steered"):
        roll_back(made, **OPERATOR)
    publish_model(made, 1, None)
    with pytest.raises(ChannelError, match="hold it instead"):
        roll_back(made, **OPERATOR)


def test_a_held_channel_takes_nothing_new_until_it_is_lifted(channel: Channel) -> None:
    hold_channel(channel, **OPERATOR)
    with pytest.raises(ChannelHeld, match=r"held by ada.*more errors.*hold edge --off"):
        publish_model(channel, 3, 2)
    with pytest.raises(ChannelHeld):
        widen_release(channel, make_rollout(0.5), author="ada")
    assert publish_model(channel, 2, 1).number == 2
    assert roll_back(channel, **OPERATOR).content.stop is not None
    with pytest.raises(ChannelError, match="pin to be lifted"):
        lift_stop(channel, "pin", author="ada")
    lift_stop(channel, "hold", author="ada")
    assert publish_model(channel, 3, 3).number == 4


def test_a_pin_brings_every_device_to_a_release_and_keeps_it(
    channel: Channel, tmp_path: Path
) -> None:
    state = pin_release(channel, 1, **OPERATOR)
    assert pin_release(channel, 1, **OPERATOR).version == state.version
    assert seed_of(ask(channel, tmp_path)) == 1
    with pytest.raises(ChannelHeld, match="pinned"):
        publish_model(channel, 3, 3)
    with pytest.raises(ChannelHeld, match=r"pinned by ada.*pin edge --off"):
        roll_back(channel, **OPERATOR)
    lift_stop(channel, "pin", author="ada")
    assert publish_model(channel, 3, 3).number == 4


def test_of_a_retired_channel_devices_keep_what_they_have(channel: Channel, tmp_path: Path) -> None:
    assert seed_of(ask(channel, tmp_path, Taker("old"))) == 2
    retire_channel(channel, **OPERATOR)
    kept = ask(channel, tmp_path, Taker("old"))
    assert (kept.status, seed_of(kept)) == ("refused", 2)
    assert "retired by ada" in (kept.reason or "")
    with pytest.raises(ChannelRefused, match="retired by ada"):
        ask(channel, tmp_path, Taker("new"))
    for act in (
        lambda: publish_model(channel, 3, 2),
        lambda: roll_back(channel, 1, **OPERATOR),
        lambda: lift_stop(channel, "hold", author="ada"),
    ):
        with pytest.raises(ChannelHeld, match="publish on another channel"):
            act()


def test_every_decision_is_one_signed_line_with_evidence_and_author(channel: Channel) -> None:
    widen_release(channel, make_rollout(0.5), author="bo", reason="look first")
    roll_back(channel, **OPERATOR)
    hold_channel(channel, **OPERATOR)
    lines = read_log(channel)
    assert [line["action"] for line in lines] == [
        "init",
        "release",
        "release",
        "promote",
        "rollback",
        "hold",
    ]
    told: list[Any] = [(line["author"], line["reason"]) for line in lines[3:]]
    assert told == [("bo", "look first"), *[("ada", OPERATOR["reason"])] * 2]
    rollback = lines[4]["evidence"]
    assert (rollback["restores"], rollback["instead_of"]) == (1, 2)
    assert lines[3]["evidence"]["rollout"] == "50 % of the devices"
    assert [line["version"] for line in lines] == [entry.version for entry in list_history(channel)]


def test_a_log_that_is_gone_is_made_again_from_the_signed_commits(
    channel: Channel, workspace: Path
) -> None:
    log = workspace / "releases/edge.jsonl"
    before = [line["action"] for line in read_log(channel)]
    log.unlink()
    hold_channel(channel, **OPERATOR)
    assert [line["action"] for line in read_log(channel)] == [*before, "hold"]
    log.write_bytes(log.read_bytes().replace(b"more errors", b"less errors"))
    with pytest.raises(Corrupt, match="signed"):
        describe_channel(channel)


def test_places_are_spread_over_the_whole_range() -> None:
    places = sorted(draw_place(name) for name in NAMES)
    assert places[0] >= 0
    assert places[-1] < WHOLE
    widest = max(after - before for before, after in itertools.pairwise(places))
    assert widest < 20 * WHOLE / len(NAMES)


def test_a_channel_that_is_not_there_is_named(workspace: Path) -> None:
    with pytest.raises(ChannelAbsent):
        describe_channel(open_channel(str(workspace), "edge"))
