"""What nothing needs goes; what a channel, a tag or a live receipt names never does."""

import os
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType

import pytest

from deployments.targets.errors import ChannelError, TargetError
from deployments.targets.follow.client import update_model
from deployments.targets.publish import change, keeping
from deployments.targets.publish.repository import put_target
from deployments.targets.publish.steering import roll_back, widen_release
from deployments.targets.trust.keys import KeyRing
from deployments.targets.trust.rollout import make_rollout
from flows.lifecycle import FLOW
from flows.recipe.load import load_recipe
from flows.run.journal import begin_journal
from storage.base.store import Store
from storage.datasets.dataset import Dataset
from storage.datasets.verify import verify_dataset
from storage.datasets.version import Version
from storage.records.receipts import FileRecord, SourceRecord, StartRecord
from storage.testing.small_datasets import add_shard, read_ids
from storage.upkeep import gc
from tasks.data.collect import describe_version
from tasks.gates.accepted import find_accepted
from tasks.release import old_files, retention
from tasks.release.approval import ApprovalRequest, write_request
from tasks.release.at_work import LOST_AFTER, Needs, note_need
from tasks.release.old_versions import drop_found, find_versions
from tasks.release.retention import Policy, find_removal, remove
from tasks.release.shelf import read_shelf, retire_model, tag_model
from tasks.runtime.outcomes import Collected, Compressed
from tasks.runtime.run_record import RunRecord
from tests.deployments.targets.conftest import _own_directories as _own_directories
from tests.deployments.targets.kills import count_kills, every_step
from tests.deployments.targets.material import make_onnx
from tests.flows.material import call
from tests.tasks.gates.mills import TABLE, collect, make_table, write_run
from tests.tasks.release.shelves import (
    NOW,
    age,
    digest_tree,
    make_line,
    model_id_of,
    put_model,
    put_weights,
)

pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
FILE = FileRecord(sha256="0" * 64, size_bytes=1)
POLICY = Policy(newest=1, releases=2, age=timedelta(days=15))


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    return tmp_path / "workspace"


def list_seeds(workspace: Path) -> list[int]:
    there = {path.name for path in (workspace / "models").iterdir()}
    return [seed for seed in range(1, 10) if model_id_of(seed) in there]


def test_what_is_live_young_tagged_or_named_stays(workspace: Path) -> None:
    channel = make_line(workspace, 5)
    store = Store(workspace)
    elder = put_model(workspace, 6, days_ago=400)
    begun = StartRecord(path=f"models/{elder}/c", sha256="0" * 64, size_bytes=7, model=elder)
    put_model(workspace, 7, days_ago=300, start=begun)
    put_model(workspace, 8, days_ago=200, promoted=False)
    put_weights(workspace, b"nobody's", 300)
    kept = put_weights(workspace, b"of the newest", 300)
    put_model(workspace, 9, days_ago=1, start=kept)
    tag_model(store, read_shelf(store).find(model_id_of(7)), "golden", author="ada")
    found = remove(store, POLICY)
    # 5 and 4 are the channel's last two, 7 has a tag and began as 6, 9 is young.
    assert list_seeds(workspace) == [4, 5, 6, 7, 9]
    assert [f"weights/{path.name}" for path in (workspace / "weights").iterdir()] == [kept.path]
    assert sorted(path.name for path in (workspace / "reports").iterdir()) == [
        f"run-{seed}" for seed in (4, 5, 6, 7, 9)
    ]
    assert len(list((workspace / "receipts").iterdir())) == 9
    assert set(found.models) == {model_id_of(seed) for seed in (1, 2, 3, 8)}
    targets = {path.name for path in (workspace / "channels/edge/targets").glob("*.onnx")}
    assert len(targets) == 2
    assert update_model("edge", str(workspace)).model.data == make_onnx(5)
    roll_back(channel, None, author="ada", reason="worse")
    assert update_model("edge", str(workspace)).model.data == make_onnx(4)
    assert remove(store, POLICY).paths == ()
    assert "files removed" in call("models", "list", "-w", str(workspace)).out


def test_a_dry_run_deletes_nothing_and_says_the_same(workspace: Path) -> None:
    make_line(workspace, 4)
    before = digest_tree(workspace)
    options = ("--days", "15", "--keep", "1", "--releases", "2", "-w", str(workspace))
    dry = call("gc", "--dry-run", *options)
    assert digest_tree(workspace) == before
    assert f"would remove models/{model_id_of(1)}/int8.onnx" in dry.out
    assert call("gc", *options).out == dry.out.replace("would remove", "removed")
    assert list_seeds(workspace) == [3, 4]


def test_retired_models_go_whatever_their_age(workspace: Path) -> None:
    store = Store(workspace)
    put_model(workspace, 1, days_ago=0.1)
    put_model(workspace, 2, days_ago=0.2)
    retire_model(store, read_shelf(store).find(model_id_of(1)), author="ada", reason="wrong data")
    assert remove(store, POLICY).models == (model_id_of(1),)
    assert list_seeds(workspace) == [2]


def test_a_retired_model_that_a_run_makes_anew_stays(workspace: Path) -> None:
    store = Store(workspace)
    put_model(workspace, 1, days_ago=0.1)
    retire_model(store, read_shelf(store).find(model_id_of(1)), author="ada", reason="wrong data")
    put_model(workspace, 1, days_ago=-0.1)
    assert remove(store, POLICY).models == ()


def test_an_empty_folder_is_no_model(workspace: Path) -> None:
    """A removal that is killed after a model's last file leaves its folder."""
    store = Store(workspace)
    put_model(workspace, 1, days_ago=90)
    put_model(workspace, 2, days_ago=80)
    for path in (workspace / "models" / model_id_of(1)).iterdir():
        path.unlink()
    assert [model.present for model in read_shelf(store).models] == [True, False]
    assert remove(store, POLICY).paths == ("reports/run-1/report.html",)


def test_what_a_run_may_be_about_to_name_stays(workspace: Path) -> None:
    store = Store(workspace)
    store.write(f"models/{'0' * 64}/c", b"of a run at work")
    put_weights(workspace, b"of a run at work", 0)
    now = Policy(newest=0, releases=1, age=timedelta(0))
    assert remove(store, now).paths == ()
    age(workspace, 2, "models")
    age(workspace, 2, "weights")
    assert len(remove(store, now).paths) == 2


def test_what_a_person_is_asked_of_stays(workspace: Path) -> None:
    """A run that waits has no receipt yet, however long it waits."""
    store = Store(workspace)
    store.write(f"models/{'0' * 64}/c", b"of a run that waits")
    age(workspace, 40, "models")
    request = ApprovalRequest(
        run="20261128-120000-abcdef",
        recipe="digits",
        model="0" * 64,
        channels={},
        headline="",
        figures=(),
        until=NOW + timedelta(hours=1),
    )
    write_request(store, request, KeyRing())
    assert remove(store, POLICY).models == ()
    over = request.model_copy(update={"until": NOW - timedelta(days=16)})
    write_request(store, over, KeyRing())
    assert remove(store, POLICY).models == ("0" * 64,)


@pytest.mark.parametrize("damage", ["receipt", "channel", "tag"])
def test_nothing_goes_while_something_cannot_be_read(workspace: Path, damage: str) -> None:
    make_line(workspace, 4)
    store = Store(workspace)
    tag_model(store, read_shelf(store).models[-1], "golden", author="ada")
    pattern = {"receipt": "receipts/*", "channel": "channels/edge/metadata/4.*", "tag": "tags/*"}
    for path in workspace.glob(pattern[damage]):
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(bytes(content))
    before = digest_tree(workspace)
    for act in (find_removal, remove):
        with pytest.raises(TargetError, match="readable as a whole"):
            act(store, POLICY)
    assert digest_tree(workspace) == before
    assert call("gc", "-w", str(workspace)).status == 1


def test_a_model_that_is_tagged_meanwhile_stays(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_line(workspace, 3)
    store = Store(workspace)
    first = read_shelf(store).find(model_id_of(1))
    mark = retention._mark

    def tag_then_mark(workspace: Store, model: object, ring: object) -> None:
        tag_model(store, first, "golden", author="ada")
        mark(workspace, model, ring)

    monkeypatch.setattr(retention, "_mark", tag_then_mark)
    assert remove(store, POLICY).models == ()
    shelf = read_shelf(store)
    assert (shelf.find("golden").retired, list_seeds(workspace)) == (None, [1, 2, 3])


def unlock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets nobody wait for anybody, as if each were a machine of its own."""
    monkeypatch.setattr(keeping, "take_lock", lambda *_, **__: os.open(os.devnull, os.O_RDONLY))


@pytest.mark.parametrize(
    ("room", "moment"), [(retention, "_mark"), (old_files, "is_old"), (retention, "_delete")]
)
def test_what_another_machine_goes_back_to_meanwhile_stays(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, room: ModuleType, moment: str
) -> None:
    channel, store = make_line(workspace, 5), Store(workspace)
    unlock(monkeypatch)
    meant, seen = getattr(room, moment), 0

    def go_back_first(*given: object) -> object:
        nonlocal seen
        seen += 1
        if seen == looks + 1:
            with suppress(ChannelError):  # Its files are gone: it is offered whole, or not at all.
                roll_back(channel, 1, author="ada", reason="worse")
        return meant(*given)

    looks = -1
    monkeypatch.setattr(room, moment, go_back_first)
    find_removal(store, POLICY)
    seen, looks = 0, seen
    remove(store, POLICY)
    assert seen > looks
    (live,) = [model for model in read_shelf(store).models if model.live]
    assert live.id == model_id_of(5 if moment == "_delete" else 1)
    assert update_model("edge", str(workspace)).model.release.model_id == live.id
    assert (live.present, live.retired) == (True, None)


def test_a_release_whose_files_stood_beside_others_is_not_offered_without_them(
    workspace: Path,
) -> None:
    """Who narrows a release gives those whom it leaves the one before: that must be there."""
    channel, store = make_line(workspace, 3), Store(workspace)
    remove(store, Policy(newest=1, releases=1, age=timedelta(days=15)))
    with pytest.raises(TargetError, match=r"must still have its .* to be offered again"):
        widen_release(channel, make_rollout(0.0), author="ada")
    assert update_model("edge", str(workspace)).model.data == make_onnx(3)


def test_changes_and_removals_of_one_machine_wait_for_each_other(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    channel, store = make_line(workspace, 5), Store(workspace)
    monkeypatch.setattr(keeping, "LOCK_TIMEOUT_S", 0.1)
    refused: list[str] = []

    def meanwhile(act: Callable[[], object], then: Callable[..., object]) -> Callable[..., object]:
        def both(*given: object) -> object:
            with pytest.raises(TargetError) as caught:
                act()
            refused.append(str(caught.value))
            return then(*given)

        return both

    def go_back() -> object:
        return roll_back(channel, 1, author="ada", reason="worse")

    with monkeypatch.context() as patch:
        patch.setattr(change, "commit", meanwhile(lambda: remove(store, POLICY), change.commit))
        go_back()
    assert update_model("edge", str(workspace)).model.data == make_onnx(1)
    with monkeypatch.context() as patch:
        patch.setattr(retention, "_delete", meanwhile(go_back, retention._delete))
        remove(store, POLICY)
    assert "changes it" in refused[0]
    assert "removes its old files" in refused[1]
    assert update_model("edge", str(workspace)).model.data == make_onnx(1)


def put_versions(workspace: Path, count: int, days_ago: float) -> Dataset:
    """Versions 0, 1, ... of a data set, the last of them made now, those before it long ago."""
    dataset = Dataset(Store(workspace), "digits")
    for number in range(count):
        dataset.replace([add_shard(dataset, 100 * number)])
    age(workspace, days_ago, "datasets")
    return dataset


def test_data_versions_that_nothing_names_go(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = put_versions(workspace, 6, 30)
    dataset.tag("golden", 4)
    put_model(workspace, 1, days_ago=90, data=0)
    put_model(workspace, 2, days_ago=80, data=1)
    put_model(workspace, 3, days_ago=1, promoted=False, data=3)
    monkeypatch.setattr(Version, "created_at", NOW - timedelta(days=30))
    # 1 is that of the newest promoted model, 3 of a young run, 4 has a tag, 5 is the latest.
    found = remove(Store(workspace), POLICY)
    assert found.versions == {"digits": (0, 2)}
    assert [version.number for version in dataset.iter_versions()] == [1, 3, 4, 5]
    assert verify_dataset(dataset) == []
    assert len(list((workspace / "datasets/digits/shards").iterdir())) == 4
    told = call("gc", "--dry-run", "--days", "15", "-w", str(workspace))
    assert "0 data versions" in told.out


def test_what_a_run_at_work_needs_stays_until_it_is_over(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another run has made newer versions, while this one has trained for longer than a day."""
    dataset, store = put_versions(workspace, 4, 30), Store(workspace)
    monkeypatch.setattr(Version, "created_at", NOW - timedelta(days=30))
    began, begun = (put_weights(workspace, content, 300) for content in (b"began", b"other"))
    recipe = load_recipe(
        "digits",
        {"train.start_from.url": "https://example.org/w", "train.start_from.sha256": began.sha256},
    )
    store.write(f"models/{'0' * 64}/c", b"compressed")
    age(workspace, 40, "models")
    journal = begin_journal(store, recipe, FLOW)
    now = Policy(newest=0, releases=1, age=timedelta(0))
    source = SourceRecord(type="sklearn", digest="0")
    collected = Collected(source=source, dataset=describe_version(dataset.open(1)))
    packed = Compressed.model_construct(model_id="0" * 64, files={"c": FILE})
    record = journal.record.with_stage("collect", collected, 1.0)
    note_need(store, record.with_stage("compress", packed, 1.0))
    found = remove(store, now)
    assert (found.versions, found.paths, found.models) == ({"digits": (0, 2)}, (begun.path,), ())
    late = NOW + LOST_AFTER + timedelta(days=1)
    assert find_removal(store, now, now=late).paths[-1] == f"working/{record.run}.json"
    journal.remove()
    found = remove(store, now)
    assert (found.versions, found.models) == ({"digits": (1,)}, ("0" * 64,))
    assert began.path in found.paths
    assert not store.list("working")


def test_weights_that_a_run_begins_to_need_meanwhile_stay(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(workspace)
    began, begun = (put_weights(workspace, content, 300) for content in (b"began", b"other"))
    later = iter((Needs(), Needs(digests=frozenset({began.sha256}))))
    monkeypatch.setattr(retention, "list_needs", lambda *_: next(later))
    found = remove(store, Policy(newest=0, releases=1, age=timedelta(0)))
    assert found.paths == (begun.path,)
    assert store.exists(began.path)


def test_nothing_goes_by_a_need_that_a_stranger_wrote(workspace: Path, tmp_path: Path) -> None:
    store, digest = Store(workspace), "1" * 64
    record = RunRecord(
        run="20261128-120000-abcdef",
        flow="lifecycle",
        required_gates=(),
        workspace="",
        recipe={"document": {"a": digest}},
        started_at=NOW,
    )
    note_need(store, record, KeyRing(tmp_path / "stranger"))
    with pytest.raises(TargetError, match="import its signer's public key"):
        remove(store, POLICY)


def test_data_that_a_recipe_joins_by_their_digest_stay(workspace: Path) -> None:
    store, later = Store(workspace), NOW + timedelta(days=1)
    joined = put_versions(workspace, 4, 30).open(2).digest
    put_model(workspace, 1, days_ago=90, data=1, joined=joined)
    # 1 is what it learned from, 3 is the latest.
    assert find_versions(store, read_shelf(store), (), Needs(), later, later) == {"digits": (0,)}
    gone = (model_id_of(1),)
    found = find_versions(store, read_shelf(store), gone, Needs(), later, later)
    assert found == {"digits": (0, 1, 2)}


def test_the_data_that_were_accepted_last_stay_for_the_next_to_be_held_against(
    tmp_path: Path,
) -> None:
    versions = [collect(tmp_path / str(seed), make_table(seed), TABLE) for seed in range(4)]
    store = Store(tmp_path)
    for minutes, passed in enumerate(({}, {}, {"model": False})):
        write_run(store, versions[minutes], passed, minutes=minutes)
    later = NOW + timedelta(days=1)
    found = find_versions(store, read_shelf(store), (), Needs(), later, later)
    assert found == {"mills-raw": (versions[0].number, versions[2].number)}
    drop_found(store, found, reason="old")
    assert find_accepted(store, versions[3], TABLE).version == versions[1]


def test_a_file_that_is_published_again_is_young(workspace: Path) -> None:
    """Nothing names it until the commit, and a clean-up may look in between."""
    channel = make_line(workspace, 1)
    path = next((workspace / "channels/edge/targets").glob("*.onnx"))
    data, name = path.read_bytes(), path.name.partition(".")[2]
    assert path.stat().st_mtime < (NOW - timedelta(days=90)).timestamp()
    put_target(channel.store, name, data)
    assert path.stat().st_mtime > (NOW - timedelta(days=1)).timestamp()
    assert path.read_bytes() == data


@pytest.mark.parametrize("days", ["nan", "inf", "1e300", "-1"])
def test_an_age_that_is_none_is_bad_usage(workspace: Path, days: str) -> None:
    assert call("gc", "--days", days, "-w", str(workspace)).status == 2


def test_young_versions_stay(workspace: Path) -> None:
    put_versions(workspace, 3, 30)
    assert remove(Store(workspace), POLICY).versions == {}


@every_step
def test_kill_at_every_step_of_gc(workspace: Path, tmp_path: Path, stride: int) -> None:
    """Whatever is left, the channel answers, what stays is whole, the next call ends it."""
    make_line(workspace, 4)
    store = Store(workspace)
    done = find_removal(store, POLICY)
    whole = {str(path) for path in workspace.rglob("*") if path.is_file()}
    gone = {str(workspace / path) for path in done.paths}
    content = {path: Path(path).read_bytes() for path in gone}

    def prepare() -> None:
        for path, data in content.items():
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            Path(path).write_bytes(data)
        age(workspace, 100, "models")
        age(workspace, 100, "channels", "edge", "targets")
        for mark in workspace.glob("retired/*"):
            mark.unlink()

    def check(step: int) -> None:
        left = {str(path) for path in workspace.rglob("*") if path.is_file()}
        assert whole - gone <= left
        assert update_model("edge", str(workspace)).model.data == make_onnx(4)
        remove(store, POLICY)
        left = {str(path) for path in workspace.rglob("*") if path.is_file()}
        assert not gone & left
        assert find_removal(store, POLICY).paths == ()

    assert count_kills(stride, lambda: remove(store, POLICY), check, prepare) >= 20


def test_another_collection_is_waited_for(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = put_versions(workspace, 3, 30)
    monkeypatch.setattr(Version, "created_at", NOW - timedelta(days=30))
    until = datetime.now(UTC) + timedelta(minutes=5)
    dataset.record(lambda _: {"kind": "gc", "collecting": ("shards/x",), "collecting_until": until})
    found = remove(Store(workspace), POLICY)
    assert (found.versions, found.waiting) == ({"digits": (0, 1)}, ("digits",))
    assert "run it again in some minutes" in call("gc", "-w", str(workspace)).out


@every_step
def test_kill_at_every_step_of_dropping(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stride: int
) -> None:
    """Whatever is left, the versions that stay are whole, and the next call ends it."""
    put_versions(tmp_path / "made", 3, 30)
    monkeypatch.setattr(Version, "created_at", NOW - timedelta(days=30))
    # A collection that was killed holds its place as long as that.
    monkeypatch.setattr(gc, "_LEASE", timedelta(seconds=0.05))
    place = {"now": tmp_path / "made"}

    def prepare() -> None:
        place["now"] = tmp_path / f"w{len(list(tmp_path.iterdir()))}"
        shutil.copytree(tmp_path / "made", place["now"])
        age(place["now"], 30, "datasets")

    def check(step: int) -> None:
        store = Store(place["now"])
        dataset = Dataset(store, "digits")
        assert read_ids(dataset.open()) == list(range(200, 220))
        assert verify_dataset(dataset) == []
        time.sleep(0.06)
        assert remove(store, POLICY).waiting == ()
        assert [version.number for version in dataset.iter_versions()] == [2]
        assert verify_dataset(dataset) == []
        assert len({path.split("/")[0] for path in dataset.shards.list()}) == 1

    assert count_kills(stride, lambda: remove(Store(place["now"]), POLICY), check, prepare) >= 10
