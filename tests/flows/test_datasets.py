"""`lepton datasets`: the versions that a run made, as the command line shows them."""

import json
from pathlib import Path

import pytest

from storage.base.store import Store
from storage.datasets.dataset import Dataset
from tests.flows.conftest import Promoted
from tests.flows.material import Outcome, call

pytestmark = pytest.mark.prefect


def _call(promoted: Promoted, *arguments: str) -> Outcome:
    return call("datasets", *arguments, "--workspace", str(promoted.workspace))


def test_list_log_and_show_tell_what_is_stored(promoted: Promoted) -> None:
    listed = [json.loads(line) for line in _call(promoted, "list", "--json").out.splitlines()]
    assert {entry["name"]: sum(entry["rows"].values()) for entry in listed} == {
        "digits-raw": 1797,
        "digits-prepared": 1797,
    }
    assert len(_call(promoted, "log", "digits-raw").out.splitlines()) == 1
    shown = json.loads(_call(promoted, "show", "digits-prepared", "--json").out)
    assert set(shown["rows"]) == {"train", "validation", "held_out"}
    assert (shown["statistics"]["image"]["min"], shown["statistics"]["image"]["max"]) == (0, 16)


def test_deleted_rows_are_a_new_version_and_the_old_one_stays(own_promoted: Promoted) -> None:
    raw = Dataset(Store(own_promoted.workspace), "digits-raw")
    row = int(raw.open().read(fields=("row_id",))["row_id"][5])
    assert _call(own_promoted, "tag", "digits-raw", "before").status == 0
    assert _call(own_promoted, "delete", "digits-raw", "--row-id", hex(row)).status == 0
    changed = json.loads(
        _call(own_promoted, "diff", "digits-raw@before", "digits-raw", "--json").out
    )
    assert changed["rows_removed"] == [row]
    assert sum(raw.open("before").splits.values()) == 1797
    assert sum(raw.open().splits.values()) == 1796


def test_a_purged_row_is_gone_from_history_and_its_models_are_named(own_promoted: Promoted) -> None:
    raw = Dataset(Store(own_promoted.workspace), "digits-raw")
    row = int(raw.open().read(fields=("row_id",))["row_id"][5])
    assert _call(own_promoted, "delete", "digits-raw", "--row-id", str(row), "--purge").status == 2
    done = _call(
        own_promoted,
        "delete",
        "digits-raw",
        "--row-id",
        str(row),
        "--purge",
        "--reason",
        "asked to",
        "--json",
    )
    assert done.status == 0, done.messages
    assert own_promoted.summary["model_id"] in json.loads(done.out)["models"]


def test_verify_names_the_damaged_shard(own_promoted: Promoted) -> None:
    assert _call(own_promoted, "verify", "digits-prepared").status == 0
    shards = own_promoted.workspace / "datasets" / "digits-prepared" / "shards"
    victim = max(
        (path for path in shards.rglob("*") if path.is_file()), key=lambda path: path.stat().st_size
    )
    victim.chmod(0o644)
    victim.write_bytes(victim.read_bytes()[:-1])
    outcome = _call(own_promoted, "verify", "digits-prepared")
    assert outcome.status == 1
    assert victim.parent.name in outcome.messages.replace("\n", "") or str(
        victim
    ) in outcome.messages.replace("\n", "")


def test_export_writes_a_plain_zarr_group(promoted: Promoted, tmp_path: Path) -> None:
    import zarr

    assert _call(promoted, "export", "digits-prepared", str(tmp_path / "out")).status == 0
    group = zarr.open_group(str(tmp_path / "out"), mode="r")
    assert any("image" in name for name, _ in group.members(max_depth=None))


@pytest.mark.parametrize("reference", ["nothing", "digits-raw@77", "digits-raw@no-such-tag"])
def test_what_is_not_there_is_said_with_the_remedy(promoted: Promoted, reference: str) -> None:
    outcome = _call(promoted, "show", reference)
    assert outcome.status == 1
    assert "must" in outcome.messages
    assert "Traceback" not in outcome.messages
