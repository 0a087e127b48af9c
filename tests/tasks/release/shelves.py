"""Workspaces with models, receipts of them, and a channel that carried one after the other."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

from deployments.targets.publish.channel import Channel, create_channel, open_channel
from deployments.targets.trust.keys import KeyRing
from storage.base.figures import Figure
from storage.base.store import Store, canonical_json, sha256_bytes
from storage.records.models import keep_weights, write_model_files
from storage.records.receipt_files import write_receipt
from storage.records.receipts import DatasetRecord, StartRecord
from tests.deployments.targets.material import make_onnx, publish_model
from tests.storage.records.material import make_receipt

NOW = datetime.now(UTC)
DAY = timedelta(days=1)


def model_id_of(seed: int) -> str:
    """The identity of the model that `publish_model` publishes of a seed."""
    return sha256_bytes(b"model of " + make_onnx(seed))


def put_model(
    workspace: Path,
    seed: int,
    *,
    days_ago: float,
    promoted: bool = True,
    accuracy: float = 0.9,
    data: int = 1,
    start: StartRecord | None = None,
    joined: str | None = None,
) -> str:
    """Puts a model with its receipt and its run's page, all of an age; returns its id."""
    store, model_id, run = Store(workspace), model_id_of(seed), f"run-{seed}"
    files = write_model_files(store, model_id, {"int8.onnx": make_onnx(seed), "c": b"weights"})
    made = make_receipt(run, promoted=promoted, model=model_id)
    assert made.model is not None
    source = {"type": "joined", "dataset": {"name": "digits", "digest": joined}}
    receipt = made.model_copy(
        update={
            "model": made.model.model_copy(update={"files": files, "start": start}),
            "created_at": NOW - days_ago * DAY,
            "recipe": {**made.recipe, "source": source} if joined else made.recipe,
            "headline": "accuracy",
            "figures": (
                Figure(name="mae", value=0.5, unit="", direction="lower", split="validation"),
                Figure(
                    name="accuracy",
                    value=accuracy,
                    split="held_out",
                    interval=(accuracy - 0.02, accuracy + 0.02),
                ),
            ),
            "datasets": {
                "raw": DatasetRecord(
                    name="digits", number=data, digest=f"{data}" * 64, manifest="m", rows={"": 10}
                )
            },
        }
    )
    ring = KeyRing()
    write_receipt(store, receipt, lambda body: dict(ring.receipt_signer().sign(body)))
    store.write(f"reports/{run}/report.html", b"page")
    age(workspace, days_ago, "models", model_id)
    return model_id


def put_weights(workspace: Path, content: bytes, days_ago: float) -> StartRecord:
    """Keeps weights from elsewhere, of an age."""
    record = keep_weights(Store(workspace), content, "https://example.org/weights")
    age(workspace, days_ago, "weights")
    return record


def age(workspace: Path, days_ago: float, *folder: str) -> None:
    """Makes all files of a folder as old as that."""
    for path in workspace.joinpath(*folder).rglob("*"):
        moment = (NOW - days_ago * DAY).timestamp()
        os.utime(path, (moment, moment))


def make_line(workspace: Path, count: int = 5) -> Channel:
    """A channel that carried models 1 to `count`, one every ten days, the last one ten days ago."""
    times = [NOW - 10 * DAY * (count - place) for place in range(count)]
    channel = open_channel(str(workspace), "edge", clock=lambda: times[0])
    create_channel(channel)
    for place, at in enumerate(times):
        put_model(workspace, place + 1, days_ago=10.0 * (count - place))
        moment = open_channel(str(workspace), "edge", clock=lambda at=at: at)
        publish_model(moment, place + 1, place or None)
    age(workspace, 100, "channels", "edge", "targets")
    return open_channel(str(workspace), "edge")


def digest_tree(workspace: Path) -> str:
    """A digest of all files and what they hold."""
    found = {
        str(path.relative_to(workspace)): sha256_bytes(path.read_bytes())
        for path in sorted(workspace.rglob("*"))
        if path.is_file()
    }
    return sha256_bytes(canonical_json(found))
