"""The models of a workspace: which there are, how they compare, what served when, their tags."""

import json
from pathlib import Path

import pytest

from deployments.targets.errors import NotCleared, TargetError
from deployments.targets.publish.channel import open_channel
from deployments.targets.publish.steering import retire_channel, roll_back
from deployments.targets.trust.keys import KeyRing
from deployments.targets.trust.marks import read_marks
from storage.base.store import Store
from tasks.release.shelf import read_shelf, retire_model, tag_model
from tasks.release.stays import list_stays
from tests.deployments.targets.conftest import _own_directories as _own_directories
from tests.flows.material import call
from tests.tasks.release.shelves import DAY, NOW, make_line, model_id_of, put_model


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    return tmp_path / "workspace"


def test_what_served_at_any_time_is_known(workspace: Path) -> None:
    channel = make_line(workspace, 3)
    store = Store(workspace)
    for days_ago, seed in ((29.5, 1), (15, 2), (5, 3)):
        live = [s for s in list_stays(store, "edge") if s.was_live(NOW - days_ago * DAY)]
        assert [(s.model_id, s.number) for s in live] == [(model_id_of(seed), seed)]
    assert not [s for s in list_stays(store, "edge") if s.was_live(NOW - 31 * DAY)]
    roll_back(channel, None, author="ada", reason="worse")
    stays = list_stays(store, "edge")
    assert [(s.number, s.model_id, s.until is None) for s in stays] == [
        (1, model_id_of(1), False),
        (2, model_id_of(2), False),
        (3, model_id_of(3), False),
        (4, model_id_of(2), True),
    ]
    retire_channel(open_channel(str(workspace), "edge"), author="ada", reason="over")
    assert all(s.until is not None for s in list_stays(store, "edge"))


def test_models_are_listed_with_where_they_are_live(workspace: Path) -> None:
    make_line(workspace, 2)
    stopped = put_model(workspace, 9, days_ago=1, promoted=False)
    listed = call("models", "list", "-w", str(workspace), "--json")
    found = [json.loads(line) for line in listed.out.splitlines()]
    assert [each["model_id"] for each in found] == [stopped, model_id_of(2), model_id_of(1)]
    assert [[s["until"] is None for s in each["stays"]] for each in found] == [[], [True], [False]]
    then = call("models", "list", "--at", (NOW - 15 * DAY).isoformat(), "-w", str(workspace))
    assert then.out.startswith(model_id_of(1)[:12])
    assert len(then.out.splitlines()) == 1
    assert "edge release 1 (int8)" in then.out
    before = call("models", "list", "--at", "2001-01-01", "-w", str(workspace))
    assert (before.status, before.out) == (0, "")
    assert "nothing was live" in before.messages
    wrong = call("models", "list", "--at", "yesterday", "-w", str(workspace))
    assert wrong.status == 2
    shown = call("models", "show", model_id_of(1)[:8], "-w", str(workspace))
    assert "accuracy 90 % [88 %, 92 %]" in shown.out.replace(".00", "").replace(".0", "")
    assert "live      edge release 1 (int8)" in shown.out


def test_figures_stand_side_by_side_with_their_intervals(workspace: Path) -> None:
    ids = [
        put_model(workspace, 1, days_ago=3, accuracy=0.9),
        put_model(workspace, 2, days_ago=2, accuracy=0.95),
        put_model(workspace, 3, days_ago=1, accuracy=0.95, data=2),
    ]
    same = call("models", "compare", *ids[:2], "-w", str(workspace), "--json")
    found = json.loads(same.out)
    assert [row["name"] for row in found["rows"]] == ["accuracy", "mae"]
    assert [each["value"] for each in found["rows"][0]["figures"]] == [0.9, 0.95]
    assert found["rows"][0]["figures"][1]["interval"] == pytest.approx([0.93, 0.97])
    assert found["same_rows"]
    told = call("models", "compare", *ids, "-w", str(workspace))
    assert "not judged on the same data" in told.out
    assert "digits@1  " in told.out
    assert "digits@2" in told.out
    assert call("models", "compare", "absent-model", "-w", str(workspace)).status == 1


def test_a_tag_names_one_model_and_moves_when_told(workspace: Path) -> None:
    first, second = (put_model(workspace, seed, days_ago=2) for seed in (1, 2))
    where = ("-w", str(workspace), "--author", "ada")
    assert call("models", "tag", first[:8], "best", *where).status == 0
    taken = call("models", "tag", second[:8], "best", *where)
    assert taken.status == 1
    assert "--move" in taken.messages
    assert call("models", "tag", second[:8], "best", "--move", *where).status == 0
    assert read_shelf(Store(workspace)).find("best").id == second
    assert call("models", "retire", "best", "--reason", "old", *where).status == 1
    assert call("models", "tag", "best", "best", "--remove", *where).status == 0
    assert call("models", "retire", second[:8], "--reason", "old", *where).status == 0
    assert "retired" in call("models", "list", "-w", str(workspace)).out
    again = call("models", "tag", second[:8], "best", *where)
    assert "was retired by ada" in again.messages
    for name in ("../x", "ABC", "0123abcd", ""):
        with pytest.raises(TargetError, match="tag"):
            tag_model(Store(workspace), read_shelf(Store(workspace)).find(first), name, author="a")


def test_a_model_that_is_live_is_not_retired(workspace: Path) -> None:
    make_line(workspace, 1)
    model = read_shelf(Store(workspace)).find(model_id_of(1))
    with pytest.raises(TargetError, match=r"live nowhere.*channel edge"):
        retire_model(Store(workspace), model, author="ada", reason="old")


def test_no_model_is_retired_while_a_channel_cannot_be_read(workspace: Path) -> None:
    """It may be live there."""
    make_line(workspace, 2)
    for path in (workspace / "channels/edge/metadata").glob("*.snapshot.json"):
        path.write_bytes(b"{}")
    asked = call("models", "retire", model_id_of(1), "--reason", "wrong data", "-w", str(workspace))
    assert (asked.status, "live nowhere; mend that first" in asked.messages) == (1, True)
    assert read_marks(Store(workspace)) == []


@pytest.mark.parametrize("damage", ["content", "name", "signer"])
def test_a_tag_that_nobody_trusted_signed_is_refused(
    workspace: Path, tmp_path: Path, damage: str
) -> None:
    store = Store(workspace)
    put_model(workspace, 1, days_ago=2)
    tag_model(store, read_shelf(store).models[0], "best", author="ada")
    path = workspace / "tags/best.json"
    match damage:
        case "content":
            path.write_bytes(path.read_bytes().replace(b"ada", b"eve"))
        case "name":
            path.rename(workspace / "tags/worst.json")
    ring = KeyRing(tmp_path / "stranger") if damage == "signer" else KeyRing()
    with pytest.raises(NotCleared, match=r"record tags/.*\.json"):
        read_marks(store, ring)
    if damage != "signer":
        listed = call("models", "list", "-w", str(workspace))
        assert "warning: record tags/" in listed.messages
