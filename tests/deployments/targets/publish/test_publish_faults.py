"""Publishers at once, and publishers killed at every step: one wins, the channel stays valid, the
next call heals.
"""

import multiprocessing
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deployments.targets.errors import ChannelConflict, ChannelCorrupt
from deployments.targets.follow.client import update_model
from deployments.targets.publish.channel import (
    Channel,
    create_channel,
    open_channel,
    read_champion,
    refresh,
)
from deployments.targets.trust.keys import KeyRing
from storage.base.store import Store
from tests.deployments.targets.kills import count_kills, every_step
from tests.deployments.targets.material import make_channel, make_onnx, publish_model

# A forked child here ends or is killed without touching a lock that a thread of its parent may
# hold.
pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")


CONTEXT = multiprocessing.get_context("fork")


def race(workspace: str, seed: int, rounds: int, barrier: Any, queue: Any) -> None:
    for number in range(rounds):
        barrier.wait(timeout=60)
        try:
            release = publish_model(
                open_channel(workspace, "edge"), 100 * seed + number, number or None
            )
            queue.put((number, "won", release.publication))
        except ChannelConflict as error:
            queue.put((number, "lost", error.found))
        barrier.wait(timeout=60)


def run_workers(target: Callable[..., None], arguments: list[tuple[Any, ...]]) -> None:
    workers = [CONTEXT.Process(target=target, args=each) for each in arguments]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(timeout=120)
    assert [worker.exitcode for worker in workers] == [0] * len(workers)


def test_of_publishers_at_once_exactly_one_wins_every_time(workspace: Path) -> None:
    make_channel(workspace)
    rounds, publishers = 6, 3
    barrier, queue = CONTEXT.Barrier(publishers), CONTEXT.Queue()
    run_workers(
        race, [(str(workspace), seed, rounds, barrier, queue) for seed in range(publishers)]
    )
    results = [queue.get(timeout=10) for _ in range(rounds * publishers)]
    for number in range(rounds):
        outcomes = [result for result in results if result[0] == number]
        assert sorted(outcome[1] for outcome in outcomes) == ["lost"] * (publishers - 1) + ["won"]
        assert {outcome[2] for outcome in outcomes if outcome[1] == "lost"} == {number + 1}
    champion = read_champion(open_channel(str(workspace), "edge"))
    assert champion is not None
    assert champion.number == rounds
    assert champion.publication in {result[2] for result in results if result[1] == "won"}
    metadata = [path.name for path in (workspace / "channels/edge/metadata").iterdir()]
    assert len([name for name in metadata if name.endswith("targets.json")]) == rounds + 1
    assert update_model("edge", str(workspace)).model.release == champion


def test_what_another_publishes_meanwhile_is_no_rollback(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    channel = make_channel(workspace)
    publish_model(channel, 1, None)
    listdir, others = Store.listdir, [2]

    def list_then_publish(store: Store, path: str = "") -> list[str]:
        names = listdir(store, path)
        if path == "metadata" and others:
            publish_model(channel, others.pop(), 1)
        return names

    monkeypatch.setattr(Store, "listdir", list_then_publish)
    first = read_champion(channel)
    second = read_champion(channel)
    assert first is not None
    assert second is not None
    assert (first.number, second.number) == (1, 2)


def create_once(workspace: str, queue: Any) -> None:
    queue.put(create_channel(open_channel(workspace, "edge")))


def test_creators_at_once_make_one_channel(workspace: Path) -> None:
    queue = CONTEXT.Queue()
    run_workers(create_once, [(str(workspace), queue)] * 3)
    made = {queue.get(timeout=10) for _ in range(3)}
    assert len(made) == 1
    assert open_channel(str(workspace), "edge").keys.channel_ids() == tuple(made)


STEPS = ["before it looks", "the root alone before it looks", "between its look and its root"]


@pytest.mark.parametrize("step", STEPS)
def test_who_loses_the_making_of_a_channel_to_another_machine_is_told_of_a_conflict(
    workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    mine = open_channel(str(workspace), "edge")
    theirs = open_channel(str(workspace), "edge", keys=KeyRing(tmp_path / "other"))
    put, others = Store.put_if_absent, [theirs]

    def come_second(store: Store, path: str, data: bytes) -> bool:
        if others:
            create_channel(others.pop())
        return put(store, path, data)

    # Who judged its candidate found no champion: the channel was not there yet.
    assert read_champion(mine) is None
    if step == STEPS[2]:
        monkeypatch.setattr(Store, "put_if_absent", come_second)
    else:
        create_channel(theirs)
        publish_model(theirs, 1, None)
    if step == STEPS[1]:
        for path in (workspace / "channels/edge/metadata").iterdir():
            if path.name != "1.root.json":
                path.unlink()
    with pytest.raises(ChannelConflict, match="made it first"):
        create_channel(mine, found_absent=True)
    assert mine.keys.channel_ids() == ()


@every_step
def test_kill_at_every_step_of_publish(workspace: Path, tmp_path: Path, stride: int) -> None:
    channel = make_channel(workspace)
    publish_model(channel, 1, None)
    number = 1

    def act() -> None:
        publish_model(channel, number + 1, number)

    def check(step: int) -> None:
        nonlocal number
        cache = tmp_path / f"cache-{step}"
        seen = update_model("edge", str(workspace), cache=cache)
        assert seen.status == "updated"
        assert seen.model.release.number in (number, number + 1)
        assert publish_model(channel, number + 1, number).number == number + 1
        assert update_model("edge", str(workspace), cache=cache).model.data == make_onnx(number + 1)
        number += 1

    assert count_kills(stride, act, check) >= 30


@every_step
def test_kill_at_every_step_of_create(tmp_path: Path, stride: int) -> None:
    place = {"workspace": tmp_path / "w"}

    def prepare() -> None:
        place["workspace"] = tmp_path / f"w{len(list(tmp_path.glob('w*')))}-{os.urandom(4).hex()}"

    def act() -> None:
        create_channel(open_channel(str(place["workspace"]), "edge"))

    def check(step: int) -> None:
        channel = make_channel(place["workspace"])
        assert publish_model(channel, 1, None).number == 1
        cache = tmp_path / f"cache-{step}"
        assert update_model("edge", str(place["workspace"]), cache=cache).model.data == make_onnx(1)

    assert count_kills(stride, act, check, prepare) >= 30


@every_step
def test_kill_at_every_step_of_refresh(workspace: Path, tmp_path: Path, stride: int) -> None:
    channel = make_channel(workspace)
    publish_model(channel, 1, None)

    def check(step: int) -> None:
        assert update_model("edge", str(workspace), cache=tmp_path / "cache").status in (
            "updated",
            "current",
        )
        refresh(channel)
        assert (
            update_model("edge", str(workspace), cache=tmp_path / "cache").model.release.number == 1
        )

    assert count_kills(stride, lambda: refresh(channel), check) >= 8


@every_step
def test_kill_at_every_step_of_update(workspace: Path, tmp_path: Path, stride: int) -> None:
    """A device that loses power at any point of an update answers with the old model or the new
    one.
    """
    channel: Channel = make_channel(workspace)
    publish_model(channel, 1, None)
    cache = tmp_path / "device"
    update_model("edge", str(workspace), cache=cache)
    number = 1

    def prepare() -> None:
        nonlocal number
        publish_model(channel, number + 1, number)
        number += 1

    def check(step: int) -> None:
        kept = (workspace / "channels").rename(workspace / "away")
        seen = update_model("edge", str(workspace), cache=cache)
        kept.rename(workspace / "channels")
        assert seen.status == "refused"
        assert seen.model.data in (make_onnx(number), make_onnx(number - 1))
        assert update_model("edge", str(workspace), cache=cache).model.data == make_onnx(number)

    assert (
        count_kills(
            stride, lambda: update_model("edge", str(workspace), cache=cache), check, prepare
        )
        >= 20
    )


def test_an_orphan_of_a_killed_publisher_never_becomes_a_release(workspace: Path) -> None:
    channel = make_channel(workspace)
    publish_model(channel, 1, None)
    orphan = workspace / "channels/edge/metadata/3.targets.json"
    orphan.write_bytes((orphan.parent / "2.targets.json").read_bytes())
    assert publish_model(channel, 2, 1).number == 2
    assert update_model("edge", str(workspace)).model.data == make_onnx(2)


def test_a_stranger_s_snapshot_stops_everybody_clearly(workspace: Path) -> None:
    channel = make_channel(workspace)
    publish_model(channel, 1, None)
    metadata = workspace / "channels/edge/metadata"
    (metadata / "3.snapshot.json").write_bytes((metadata / "2.snapshot.json").read_bytes())
    with pytest.raises(ChannelCorrupt, match=r"3\.snapshot\.json.*version of its name"):
        publish_model(channel, 2, 1)
    assert update_model("edge", str(workspace)).model.data == make_onnx(1)


def interrupt(
    monkeypatch: pytest.MonkeyPatch, method: str, file: str, act: Callable[[], Any]
) -> None:
    """Lets another publisher act once, just before this one writes a file of that ending."""
    real = getattr(Store, method)
    pending = [act]

    def call(self: Store, path: str, data: bytes) -> Any:
        if path.endswith(file) and pending:
            pending.pop()()
        return real(self, path, data)

    monkeypatch.setattr(Store, method, call)


def test_a_slow_publisher_puts_its_older_timestamp_right_again(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    channel = make_channel(workspace)
    interrupt(monkeypatch, "write", "timestamp.json", lambda: publish_model(channel, 2, 1))
    assert publish_model(channel, 1, None).number == 1
    assert update_model("edge", str(workspace)).model.data == make_onnx(2)


def test_a_publisher_beaten_before_its_commit_leaves_no_metadata(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    channel = make_channel(workspace)
    interrupt(
        monkeypatch, "put_if_absent", "2.snapshot.json", lambda: publish_model(channel, 2, None)
    )
    with pytest.raises(ChannelConflict) as caught:
        publish_model(channel, 1, None)
    assert (caught.value.expected, caught.value.found) == (None, 1)
    names = sorted(
        path.name for path in (workspace / "channels/edge/metadata").glob("*targets.json")
    )
    assert names == ["1.targets.json", "3.targets.json"]
    assert update_model("edge", str(workspace)).model.data == make_onnx(2)


def test_a_refresh_in_between_is_no_conflict(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    channel = make_channel(workspace)
    publish_model(channel, 1, None)
    interrupt(monkeypatch, "put_if_absent", "3.snapshot.json", lambda: refresh(channel))
    assert publish_model(channel, 2, 1).number == 2
    assert update_model("edge", str(workspace)).model.data == make_onnx(2)


def test_a_publish_in_between_survives_a_refresh(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    channel = make_channel(workspace)
    publish_model(channel, 1, None)
    interrupt(monkeypatch, "put_if_absent", "3.snapshot.json", lambda: publish_model(channel, 2, 1))
    refresh(channel)
    assert update_model("edge", str(workspace)).model.data == make_onnx(2)
