"""Truths and batches that are sent to a node, and where they come to lie."""

from datetime import UTC, datetime

import numpy as np
import pytest

from deployments.targets.run.device_figures import DeviceFigures, name_figures, seal_figures
from deployments.targets.serve.recorder import CountingRecorder, Truth
from deployments.targets.trust.card import Card
from deployments.targets.trust.devices import add_device, make_code, revoke_device
from deployments.targets.trust.keys import KeyRing
from deployments.targets.trust.receipt_signer import ReceiptSigner, make_private_pem, make_signer
from deployments.targets.trust.sealed import open_sealed
from deployments.targets.trust.uplink import UplinkBatch, UplinkRecord, pack_batch
from storage.base.errors import StorageError
from storage.base.store import Store, sha256_bytes
from tests.deployments.targets.serve.asking import Held, Node, make_live


def read_truths(workspace: Store, keys: KeyRing) -> list[dict[str, object]]:
    """All truths below `uplinks`, of files that this machine's key signed."""
    found = []
    for node in workspace.listdir("uplinks"):
        for name in workspace.listdir(f"uplinks/{node}"):
            body = open_sealed(
                workspace.read(f"uplinks/{node}/{name}"),
                keys.trusted_receipt_keys(),
                "truths",
                remedy="send them again",
            )
            assert (body["format"], body["node"]) == (1, node)
            assert datetime.fromisoformat(body["at"]).tzinfo is not None
            found += body["truths"]
    return found


def test_truths_lie_sealed_in_the_workspace(pictures: Node, keys: KeyRing) -> None:
    assert pictures.post("/feedback", {"answer_id": "d1:7", "truth": "3"}).json == {"accepted": 1}
    both = [{"answer_id": "d1:8", "truth": 2.5}, {"answer_id": "d1:9", "truth": True}]
    assert pictures.post("/feedback", both).json == {"accepted": 2}
    text = b"truth,answer_id,more\r\n 4 ,d1:10,x\r\n\r\n5,d1:11,\r\n"
    assert pictures.post("/feedback", text, "text/csv").json == {"accepted": 2}
    assert pictures.workspace is not None
    found = read_truths(pictures.workspace, keys)
    told = sorted(((str(truth["answer_id"]), truth["truth"]) for truth in found), key=str)
    assert told == [("d1:10", "4"), ("d1:11", "5"), ("d1:7", "3"), ("d1:8", 2.5), ("d1:9", True)]


@pytest.mark.parametrize(
    "body",
    [
        [],
        7,
        {"answer_id": "d1:7"},
        {"truth": 1},
        {"answer_id": "d1:7", "truth": None},
        {"answer_id": "d1:7", "truth": 1, "more": 1},
        {"answer_id": "d1", "truth": 1},
        {"answer_id": "../d1:7", "truth": 1},
        {"answer_id": "d1:0", "truth": 1},
        {"answer_id": "d1:7\n", "truth": 1},
        {"answer_id": "d1:7", "truth": "x" * 5000},
        [{"answer_id": "d1:7", "truth": 1}, 3],
        b"answer_id,truth\nd1:7\n",
        b"answer_id,truth\nd1:7,\n",
        b"answer_id;truth\nd1:7;1\n",
        b"id,label\nd1:7,1\n",
        b"answer_id,truth\n",
    ],
)
def test_what_is_no_truth_is_refused_and_nothing_is_kept(pictures: Node, body: object) -> None:
    reply = pictures.post("/feedback", body)
    assert reply.status == 422
    assert "; " in reply.json["error"]
    assert pictures.workspace is not None
    assert pictures.workspace.listdir("uplinks") == []


def test_truths_that_cannot_be_kept_are_not_accepted(card: Card) -> None:
    class Broken(CountingRecorder):
        async def add_truth(self, truths: object) -> int:
            raise StorageError("disk (/secret/path) must have room; got none")

    reply = Node(Held(make_live(card)), recorder=Broken(None)).post(
        "/feedback", {"answer_id": "d1:7", "truth": 1}
    )
    assert (reply.status, b"/secret/path" in reply.body) == (503, False)
    without = Node(Held(make_live(card))).post("/feedback", {"answer_id": "d1:7", "truth": 1})
    assert (without.status, "--workspace" in without.json["error"]) == (422, True)


def test_pages_of_other_sites_are_refused(pictures: Node) -> None:
    body = {"answer_id": "d1:7", "truth": 1}
    for path in ("/feedback", "/uplink"):
        strange = pictures.post(path, body, origin="http://elsewhere", host="127.0.0.1:8080")
        assert strange.status == 403
    own = pictures.post("/feedback", body, origin="http://127.0.0.1:80", host="127.0.0.1:80")
    assert own.status == 200


def enrol(workspace: Store, keys: KeyRing, device: str = "d1") -> ReceiptSigner:
    signer = make_signer(make_private_pem(), "the device")
    add_device(workspace, make_code(device, signer), device_class="default", group=None, ring=keys)
    return signer


def make_batch(first: int = 1) -> UplinkBatch:
    record = UplinkRecord(
        sequence=first,
        kind="answer",
        at=datetime(2026, 1, 1, tzinfo=UTC),
        model_id="a" * 64,
        answer_id=f"d1:{first}",
        answer={"label": "3"},
    )
    inputs = np.zeros((1, 1, 8, 8), np.uint8)
    return UplinkBatch("d1", first, first, "a" * 64, (record,), inputs)


def test_batches_of_enrolled_devices_are_taken(pictures: Node, keys: KeyRing) -> None:
    workspace = pictures.workspace
    assert workspace is not None
    signer = enrol(workspace, keys)
    data = pack_batch(make_batch(), signer)
    for _ in range(2):  # An answer that was lost on its way is asked for again.
        assert pictures.post("/uplink", data).json == {"accepted": [1, 1]}
    assert len(workspace.listdir("uplinks/d1")) == 1
    altered = data[:-1] + bytes([data[-1] ^ 1])
    assert pictures.post("/uplink", altered).status == 403
    stranger = pack_batch(make_batch(2), make_signer(make_private_pem(), "x"))
    assert pictures.post("/uplink", stranger).status == 403
    revoke_device(workspace, "d1", keys)
    assert pictures.post("/uplink", pack_batch(make_batch(2), signer)).status == 403
    assert len(workspace.listdir("uplinks/d1")) == 1


def test_figures_of_enrolled_devices_are_taken(pictures: Node, keys: KeyRing) -> None:
    workspace = pictures.workspace
    assert workspace is not None
    signer = enrol(workspace, keys)
    figures = DeviceFigures(
        device="d1",
        at=datetime(2026, 1, 1, tzinfo=UTC),
        channel="edge",
        release=1,
        model_id="a" * 64,
        receipt="b" * 64,
        threads=1,
        artifacts=(),
    )
    data = seal_figures(figures, signer)
    for _ in range(2):
        assert pictures.post("/uplink", data).json == {"accepted": sha256_bytes(data)}
    assert workspace.listdir("uplinks/d1") == [name_figures("d1", data).partition("/")[2]]
    stranger = seal_figures(figures, make_signer(make_private_pem(), "x"))
    for bad in (stranger, data.replace(b'"threads":1', b'"threads":2'), data[:-1], data[:20]):
        assert pictures.post("/uplink", bad).status == 403
    revoke_device(workspace, "d1", keys)
    assert pictures.post("/uplink", data).status == 403


def test_a_node_without_a_workspace_takes_no_batches(card: Card) -> None:
    assert Node(Held(make_live(card))).post("/uplink", b"x").status == 404


def test_no_number_is_given_twice_under_one_name() -> None:
    def number(recorder: CountingRecorder, rows: int) -> int:
        import asyncio

        told = asyncio.run(recorder.record(None, np.zeros((rows, 1)), None, None))  # type: ignore[arg-type]
        node, _, text = told.rpartition(":")
        assert node == recorder.node
        return int(text)

    first = CountingRecorder(None, "cloud-1")
    given = number(first, 5)
    assert number(first, 1) == given + 5
    assert number(CountingRecorder(None, "cloud-1"), 1) > given + 5
    unnamed = [CountingRecorder(None) for _ in range(2)]
    assert unnamed[0].node != unnamed[1].node
    assert number(unnamed[0], 1) == 1
    assert Truth(answer_id=f"{unnamed[0].node}:1", truth=1).truth == 1
