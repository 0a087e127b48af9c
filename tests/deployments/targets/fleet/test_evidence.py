"""What arrived is read through its signatures: what was altered, lost or forged is told."""

from datetime import UTC, datetime

import numpy as np
import pytest

from deployments.targets.fleet.evidence import read_arrived, read_cleared
from deployments.targets.trust.devices import add_device, make_code
from deployments.targets.trust.receipt_signer import make_private_pem, make_signer
from deployments.targets.trust.uplink import UplinkBatch, UplinkRecord, accept_batch, pack_batch
from storage.base.store import Store
from tests.deployments.targets.fleet.stand_in import publish_seed

NOW = datetime(2026, 11, 28, tzinfo=UTC)
MODEL = "a" * 64


@pytest.fixture
def store(workspace: object) -> Store:
    return Store(str(workspace))


@pytest.fixture
def signer(store: Store):
    found = make_signer(make_private_pem(), "test")
    add_device(store, make_code("d1", found), device_class="default", group=None)
    return found


def send(store: Store, signer, first: int) -> None:
    """A batch of two answers and a truth."""
    answers = [
        UplinkRecord(
            sequence=number,
            kind="answer",
            at=NOW,
            model_id=MODEL,
            answer_id=f"d1:{number}",
            answer={"label": "3"},
        )
        for number in (first, first + 1)
    ]
    truth = UplinkRecord(
        sequence=first + 2, kind="truth", at=NOW, answer_id=f"d1:{first}", truth="3"
    )
    inputs = np.full((2, 1, 8, 8), first, dtype=np.uint8)
    batch = UplinkBatch("d1", first, first + 2, MODEL, (*answers, truth), inputs)
    accept_batch(store, pack_batch(batch, signer))


def test_answers_and_truths_are_those_of_the_batches(store: Store, signer) -> None:
    send(store, signer, 1)
    send(store, signer, 4)
    arrived = read_arrived(store, ["d1"])
    assert arrived.answers == ["d1:1", "d1:2", "d1:4", "d1:5"]
    assert arrived.truths == [("d1:1", "3"), ("d1:4", "3")]
    assert not arrived.refused


def test_a_gap_between_batches_and_an_altered_batch_are_told(store: Store, signer) -> None:
    for first in (1, 4, 7):
        send(store, signer, first)
    names = store.child("uplinks").list("d1")
    store.delete(f"uplinks/{names[1]}")
    assert read_arrived(store, ["d1"]).refused == ["d1 has 7 after 3"]
    data = bytearray(store.read(f"uplinks/{names[0]}"))
    data[-1] ^= 1
    store.write(f"uplinks/{names[0]}", bytes(data))
    arrived = read_arrived(store, ["d1"])
    assert arrived.answers == ["d1:7", "d1:8"]
    assert names[0] in arrived.refused[0]


def test_only_trusted_green_receipts_clear_a_model(store: Store, workspace: object) -> None:
    model_id = publish_seed(str(workspace), 0)
    store.write("receipts/forged.json", b"{}")
    assert read_cleared(store) == {model_id}
