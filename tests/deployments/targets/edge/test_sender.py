import asyncio
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from deployments.targets.edge.policy import parse_policy
from deployments.targets.edge.recorder import SpoolRecorder
from deployments.targets.edge.sender import Backoff, Sender
from deployments.targets.edge.spool import Spool
from deployments.targets.edge.uplinks import Uplink
from deployments.targets.errors import UplinkRefused
from deployments.targets.trust.devices import DeviceRecord
from deployments.targets.trust.receipt_signer import make_private_pem, make_signer
from deployments.targets.trust.uplink import UplinkBatch, name_batch, open_batch
from storage.base.errors import Unreachable
from tests.deployments.targets.edge.material import (
    OTHER_MODEL,
    MemoryUplink,
    make_answers,
    make_live,
    make_row,
    tell,
)

SIGNER = make_signer(make_private_pem(), "memory")
DEVICE = DeviceRecord.model_validate(
    {
        "id": "d1",
        "public": SIGNER.public,
        "device_class": "default",
        "enrolled_at": "2026-11-28T06:00:00Z",
        "enrolled_by": "k",
    }
)
MIB = 2**20


@pytest.fixture
def open_spool(tmp_path: Path) -> Iterator[Callable[[], Spool]]:
    opened: list[Spool] = []

    def open_one() -> Spool:
        opened.append(Spool(tmp_path / "spool.sqlite", 4 * MIB))
        return opened[-1]

    yield open_one
    for spool in opened:
        spool.close()


def make_sender(spool: Spool, uplink: Uplink, interval_s: float = 0.01, **limits: int) -> Sender:
    return Sender(spool, uplink, "d1", SIGNER, interval_s=interval_s, **limits)


def keep(spool: Spool, count: int, **kind: object) -> None:
    spool.record(
        count,
        lambda first: [make_row(first + n, **kind) for n in range(count)],  # type: ignore[arg-type]
    ).result(30)


def open_all(uplink: MemoryUplink) -> list[UplinkBatch]:
    batches = []
    for name, data in uplink.files.items():
        batches.append(open_batch(data, DEVICE))
        assert name == name_batch(batches[-1], data)
    return sorted(batches, key=lambda batch: batch.first)


def list_sequences(batches: list[UplinkBatch]) -> list[int]:
    return [record.sequence for batch in batches for record in batch.records]


def test_everything_is_sent_in_ranges_without_gaps_and_leaves_the_spool(
    open_spool: Callable[[], Spool],
) -> None:
    spool, uplink = open_spool(), MemoryUplink()
    recorder = SpoolRecorder("d1", spool, parse_policy("sampled:0.4"))

    async def ask() -> None:
        for number in range(40):
            raw = np.full((2, 1, 3), number, np.int32)
            live = make_live(OTHER_MODEL) if number > 25 else make_live()
            await recorder.record(live, raw, make_answers([0.5, number]), None)
            await recorder.add_truth([tell(f"d1:{number}", number)])

    asyncio.run(ask())
    held = [row.sequence for row in spool.read_rows(1, 999)]
    assert make_sender(spool, uplink, batch_rows=30).send_all() == len(uplink.files) >= 3
    batches = open_all(uplink)
    assert list_sequences(batches) == held
    assert batches[0].first == 1
    assert [b.first for b in batches[1:]] == [b.last + 1 for b in batches[:-1]]
    assert {batch.model_id for batch in batches} == {make_live().model_id, OTHER_MODEL}
    for batch in batches:
        answers = [record for record in batch.records if record.kind == "answer"]
        assert {record.probability for record in answers} <= {0.4}
        assert batch.inputs.shape[1:] in ((1, 3), ())
        for record, row in zip(answers, batch.inputs, strict=True):
            assert (row == (record.sequence - 1) // 3).all()
    assert (spool.marks.records, spool.marks.bytes, spool.dropped) == (0, 0, 0)


def test_windows_arrive_with_their_times(open_spool: Callable[[], Spool]) -> None:
    spool, uplink = open_spool(), MemoryUplink()
    recorder = SpoolRecorder("d1", spool, parse_policy("all"))
    windows, times = np.full((2, 3, 1), np.nan), np.arange(6.0).reshape(2, 3)
    asyncio.run(recorder.record(make_live(), windows, make_answers([1, 2]), times))
    make_sender(spool, uplink).send_all()
    (batch,) = open_all(uplink)
    np.testing.assert_array_equal(batch.inputs, windows)
    assert batch.times is not None
    np.testing.assert_array_equal(batch.times, times)


def test_a_lost_reply_makes_the_same_file_again_and_no_other(
    open_spool: Callable[[], Spool],
) -> None:
    spool, uplink = open_spool(), MemoryUplink(loses_replies=True)
    keep(spool, 5)
    uplink.faults = [Unreachable("the reply is lost")]
    with pytest.raises(Unreachable):
        make_sender(spool, uplink).send_all()
    assert spool.marks.records == 5
    keep(spool, 5)
    spool.close()
    # A new process, which has more to send by now and other limits.
    again = open_spool()
    assert make_sender(again, uplink, batch_rows=3).send_all() == 3
    assert [(b.first, b.last) for b in open_all(uplink)] == [(1, 5), (6, 8), (9, 10)]


def test_days_offline_lose_nothing_and_a_fault_is_said_once(
    open_spool: Callable[[], Spool], caplog: pytest.LogCaptureFixture
) -> None:
    spool, uplink = open_spool(), MemoryUplink()
    uplink.faults = [Unreachable("no network")] * 4
    keep(spool, 3)
    sender = make_sender(spool, uplink)
    sender.start()
    deadline = time.monotonic() + 30
    while spool.marks.records and time.monotonic() < deadline:
        time.sleep(0.01)
    sender.stop(5)
    assert list_sequences(open_all(uplink)) == [1, 2, 3]
    assert caplog.text.count("no network") == 1
    assert caplog.text.count("answers again") == 1


def test_who_is_not_trusted_keeps_its_records(open_spool: Callable[[], Spool]) -> None:
    spool, uplink = open_spool(), MemoryUplink(faults=[UplinkRefused("revoked")] * 99)
    keep(spool, 3)
    sender = make_sender(spool, uplink)
    sender.start()
    time.sleep(0.1)
    sender.stop(5)
    assert spool.marks.records == 3
    assert uplink.files == {}


def test_stopping_sends_what_is_left(open_spool: Callable[[], Spool]) -> None:
    spool, uplink = open_spool(), MemoryUplink()
    sender = make_sender(spool, uplink, interval_s=1000.0)
    sender.start()
    keep(spool, 7)
    sender.stop(10)
    assert list_sequences(open_all(uplink)) == list(range(1, 8))


def test_stopping_does_not_wait_for_a_network_that_hangs(
    open_spool: Callable[[], Spool],
) -> None:
    class Hanging(MemoryUplink):
        def send(self, name: str, data: bytes) -> None:
            time.sleep(5)

    spool = open_spool()
    keep(spool, 1)
    sender = make_sender(spool, Hanging())
    sender.start()
    started = time.monotonic()
    sender.stop(0.2)
    assert time.monotonic() - started < 3
    assert spool.marks.records == 1


def test_waits_double_up_to_the_longest_and_differ() -> None:
    waits = Backoff(1.0, 300.0)
    drawn = [waits.draw() for _ in range(14)]
    for number, wait_s in enumerate(drawn):
        most = min(2.0**number, 300.0)
        assert most / 2 <= wait_s <= most
    assert len(set(drawn)) == 14
    waits.reset()
    assert waits.draw() <= 1
