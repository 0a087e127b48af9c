"""Runs that start from weights: traced to their origin, kept, and never judged on rows that were
learned from.
"""

import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from safetensors.torch import save as save_tensors

from flows.recipe.load import Recipe, load_recipe
from lightning_modules.specs.start import StartSpec
from storage.base.errors import Corrupt
from storage.base.store import Store
from storage.datasets.dataset import Dataset
from storage.datasets.version import Version
from storage.records.receipt_files import list_model_receipts
from storage.records.receipts import Receipt, StartRecord
from storage.shards.row_ids import hash_contents
from storage.shards.writing import write_shard
from tasks.forms.registry import FORMS
from tasks.gates.row_leakage import Learned, count_same_places, tabulate_learned
from tasks.release.receipt import issue_receipt
from tasks.runtime.errors import StartError
from tasks.training.start import find_model, find_start
from tests.flows.conftest import Promoted
from tests.flows.material import call, read_channels, run

pytestmark = pytest.mark.prefect
TABLE = FORMS.find("table")


def read_receipt(promoted: Promoted, model_id: str) -> Receipt:
    return list_model_receipts(Store(promoted.workspace), model_id)[-1].receipt


def count_learned(store: Store, version: int, start: str) -> dict[str, int]:
    """What the prepared gate counts for a version and a model to start from."""
    record = StartRecord(path="unread", sha256="", size_bytes=0, model=start)
    found = tabulate_learned(
        Dataset(store, "digits-prepared").open(version),
        "another source",
        record,
        FORMS.find("image"),
    )
    return {str(name): int(count) for name, count in found.frame.iloc[0].items()}


def write_rows(store: Store, name: str, columns: int, first: int) -> Version:
    """A table of 100 rows numbered from `first`, the second half held out; then the halves change
    places.
    """
    dataset, entries = Dataset(store, name), []
    for split, start in (("train", 50 * (columns % 2)), ("held_out", 50 - 50 * (columns % 2))):
        ids = np.arange(first + start, first + start + 50, dtype=np.uint64)
        rows = {"row_id": ids, "numbers": np.random.default_rng(columns).normal(size=(50, columns))}
        entries.append(
            write_shard(dataset.shards, {**rows, "content_hash": hash_contents(rows)}, split=split)
        )
    return dataset.commit(entries, kind="prepared", parent=None)


def test_run_starts_from_a_promoted_model_and_says_so(
    own_promoted: Promoted, dask_scheduler: str
) -> None:
    parent = own_promoted.summary["model_id"]
    settings = {
        "train.start_from": {"model": parent[:12], "freeze": ["hidden.0"]},
        "train.max_epochs": 2,
    }
    outcome = run("digits", own_promoted.workspace, dask_scheduler, settings)
    assert outcome.status == 0, outcome.messages
    assert f"from model {parent[:12]}" in outcome.messages
    receipt = read_receipt(own_promoted, outcome.summary["model_id"])
    # Whatever was typed, the recipe that was carried out names the model in full.
    document = receipt.recipe["document"]
    assert isinstance(document, dict)
    assert Recipe.model_validate(document).train.start_from == StartSpec(
        model=parent, freeze=("hidden.0",)
    )
    made = receipt.model
    assert made is not None
    assert made.start is not None
    path = own_promoted.workspace / made.start.path
    assert (made.start.model, made.start.sha256) == (
        parent,
        hashlib.sha256(path.read_bytes()).hexdigest(),
    )
    place = ("--workspace", str(own_promoted.workspace))
    assert (
        f"start    model {parent} sha256 {made.start.sha256}" in call("trace", made.id, *place).out
    )
    assert call("verify", made.id, *place).status == 0
    path.write_bytes(path.read_bytes()[:-1])
    changed = call("verify", made.id, *place)
    assert changed.status == 1
    assert parent in changed.messages


def test_held_out_rows_that_the_model_learned_from_stop_the_run(
    own_promoted: Promoted, dask_scheduler: str
) -> None:
    parent, before = own_promoted.summary["model_id"], read_channels(own_promoted.workspace)
    settings = {"train.start_from": {"model": parent}, "data.split.seed": 8}
    outcome = run("digits", own_promoted.workspace, dask_scheduler, settings)
    assert outcome.status == 3
    assert "gate prepared" in outcome.messages
    assert "held-out rows that the model to start from learned from" in outcome.messages
    assert read_channels(own_promoted.workspace) == before
    # Seven of ten rows were for training or validation, and these are others than before.
    store = Store(own_promoted.workspace)
    rows = read_receipt(own_promoted, parent).datasets["prepared"].rows
    found = count_learned(store, 1, parent)
    assert 0.5 * rows["held_out"] < found["content"] <= found["looks"] < rows["held_out"]
    assert count_learned(store, 0, parent)["content"] == 0
    # Nor may the model that it started from, though it has seen none of them itself.
    receipt = read_receipt(own_promoted, parent)
    assert receipt.model is not None
    empty = Dataset(store, "empty-prepared").commit([], kind="prepared", parent=None)
    record = receipt.datasets["prepared"].model_copy(
        update={"name": empty.name, "number": empty.number, "digest": empty.digest}
    )
    start = StartRecord(path="unread", sha256="", size_bytes=0, model=parent)
    child = receipt.model.model_copy(update={"id": "c" * 64, "start": start})
    issue_receipt(
        store, receipt.model_copy(update={"model": child, "datasets": {"prepared": record}})
    )
    assert count_learned(store, 1, child.id) == found


@pytest.mark.slow
def test_file_of_weights_is_held_against_its_digest_and_kept(
    own_promoted: Promoted, dask_scheduler: str, tmp_path: Path
) -> None:
    model = own_promoted.workspace / "models" / own_promoted.summary["model_id"]
    file = tmp_path / "weights.safetensors"
    tensors = load_file(model / "checkpoint.safetensors")
    # As others would publish it: without what lies around the network, and what a model of this
    # workspace tells of itself.
    save_file({name: value for name, value in tensors.items() if name.startswith("network.")}, file)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    files = sorted(path for path in own_promoted.workspace.rglob("*") if path.is_file())
    start = {"url": str(file), "sha256": "0" * 64}
    refused = run("digits", own_promoted.workspace, dask_scheduler, {"train.start_from": start})
    assert refused.status == 1
    assert f"got {digest}; another file lies there" in refused.messages
    assert sorted(path for path in own_promoted.workspace.rglob("*") if path.is_file()) == files
    start = {"url": f"file://user:hunter2@{file}", "sha256": digest}
    absent = run("digits", own_promoted.workspace, dask_scheduler, {"train.start_from": start})
    assert absent.status == 1
    assert "hunter2" not in absent.messages
    start = {"url": str(file), "sha256": digest, "fresh": ["hidden.0"]}
    outcome = run("digits", own_promoted.workspace, dask_scheduler, {"train.start_from": start})
    assert outcome.status == 0, outcome.messages
    made = read_receipt(own_promoted, outcome.summary["model_id"]).model
    assert made is not None
    assert made.start == StartRecord(
        path=f"weights/{digest}.safetensors",
        sha256=digest,
        size_bytes=file.stat().st_size,
        url=str(file),
    )
    (own_promoted.workspace / made.start.path).unlink()
    assert call("verify", made.id, "--workspace", str(own_promoted.workspace)).status == 1


def test_lost_run_goes_on_from_the_weights_that_it_began_with(tmp_path: Path) -> None:
    workspace, file = tmp_path / "work space", tmp_path / "weights.safetensors"
    file.write_bytes(save_tensors({"layer.weight": torch.zeros(2)}))
    recipe = load_recipe("digits", {"train.start_from.url": str(file)})
    begun = find_start(str(workspace), recipe.train.start_from)
    pinned = recipe.pin_start(begun)
    file.write_bytes(save_tensors({"layer.weight": torch.ones(2)}))
    assert find_start(str(workspace), pinned.train.start_from) == begun
    file.unlink()
    assert find_start(str(workspace), pinned.train.start_from) == begun
    assert load_recipe(pinned).pin_start(begun).digest == pinned.digest != recipe.digest
    assert begun is not None
    (workspace / begun.path).write_bytes(b"others")
    with pytest.raises(Corrupt, match="must have sha256"):
        find_start(str(workspace), pinned.train.start_from)


def test_model_that_is_not_proven_is_no_start(own_promoted: Promoted, dask_scheduler: str) -> None:
    store, parent = Store(own_promoted.workspace), own_promoted.summary["model_id"]
    with pytest.raises(
        StartError, match=r"start_from\.model \(12345678\) must be a promoted model of .*; got none"
    ):
        find_model(store, "12345678")
    receipt = find_model(store, parent)
    assert receipt.model is not None
    stopped = receipt.model_copy(
        update={"status": "stopped", "model": receipt.model.model_copy(update={"id": "d" * 64})}
    )
    issue_receipt(store, stopped)
    with pytest.raises(StartError, match="got one that was stopped"):
        find_model(store, "d" * 64)
    (path,) = (own_promoted.workspace / "receipts").glob(f"{receipt.id}.json")
    path.write_bytes(path.read_bytes().replace(b'"promoted"', b'"stopped"'))
    outcome = run(
        "digits", own_promoted.workspace, dask_scheduler, {"train.start_from.model": parent}
    )
    assert outcome.status == 1
    assert "must hash to its name" in outcome.messages


def test_checkpoint_of_this_workspace_is_a_model_under_whatever_path(
    own_promoted: Promoted, tmp_path: Path
) -> None:
    store, parent = Store(own_promoted.workspace), own_promoted.summary["model_id"]
    file = tmp_path / "anything.safetensors"
    checkpoint = own_promoted.workspace / "models" / parent / "checkpoint.safetensors"
    file.write_bytes(checkpoint.read_bytes())
    found = find_start(str(own_promoted.workspace), StartSpec(url=str(file)))
    assert found == find_start(str(own_promoted.workspace), StartSpec(model=parent))
    assert not (own_promoted.workspace / "weights").exists()
    # One that was stopped is no start under its path either.
    receipt = find_model(store, parent)
    assert receipt.model is not None
    model = receipt.model.model_copy(
        update={"id": "d" * 64, "checkpoint": hashlib.sha256(b"other").hexdigest()}
    )
    issue_receipt(store, receipt.model_copy(update={"status": "stopped", "model": model}))
    file.write_bytes(b"other")
    with pytest.raises(StartError, match="got one that was stopped"):
        find_start(str(own_promoted.workspace), StartSpec(url=str(file)))


def test_file_that_is_none_of_weights_is_refused_before_anything_is_kept(tmp_path: Path) -> None:
    file = tmp_path / "weights.pth"
    file.write_bytes(b"PK\x03\x04 a pickle")
    with pytest.raises(
        StartError, match=r"train\.start_from\.url \(.*weights\.pth\) must be a safetensors file"
    ):
        find_start(str(tmp_path / "workspace"), StartSpec(url=str(file)))
    assert not (tmp_path / "workspace").exists()


def test_rows_are_known_by_their_place_where_their_contents_cannot_tell(tmp_path: Path) -> None:
    """A column more makes another content, and so another split: rows that are held out then were
    learned from.
    """
    store = Store(tmp_path)
    learned = Learned(write_rows(store, "narrow-prepared", 2, 0), "one")
    wide = write_rows(store, "wide-prepared", 3, 0)
    assert count_same_places(wide, "one", [learned], TABLE) == 50
    assert count_same_places(wide, "a longer file of that name", [learned], TABLE) == 50
    assert (
        count_same_places(write_rows(store, "later-prepared", 3, 1000), "one", [learned], TABLE)
        == 0
    )
    # Of the same columns rows are told apart by what they hold, unless their source is the same
    # file.
    other = Learned(write_rows(store, "other-prepared", 5, 50), "one")
    same = write_rows(store, "same-prepared", 5, 100)
    assert count_same_places(same, "another", [other], TABLE) == 0
    assert count_same_places(same, "one", [other], TABLE) == 50
    assert count_same_places(same, "one", [Learned(same, "one")], TABLE) == 0
    assert count_same_places(learned.version, "one", [Learned(wide, "one")], TABLE) == 50
