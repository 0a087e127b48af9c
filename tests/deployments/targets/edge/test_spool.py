import sqlite3
import stat
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from deployments.targets.edge.spool import Spool
from deployments.targets.edge.spool_file import BLOCK, LEAST_BYTES, SpoolFile
from deployments.targets.edge.spool_rows import SpoolRow
from deployments.targets.errors import SpoolError
from tests.deployments.targets.edge.material import OTHER_MODEL, make_row, make_truth_row
from tests.small_disk import SmallDisk

MIB = 2**20


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "spool.sqlite"


Open = Callable[..., Spool]


@pytest.fixture
def open_spool(path: Path) -> Iterator[Open]:
    """Opens spools that are closed whatever becomes of the test."""
    opened: list[Spool] = []

    def open_one(max_bytes: int = LEAST_BYTES) -> Spool:
        opened.append(Spool(path, max_bytes))
        return opened[-1]

    yield open_one
    for spool in opened:
        spool.close()


@pytest.fixture
def spool(open_spool: Open) -> Spool:
    return open_spool(4 * MIB)


def keep(spool: Spool, count: int = 1, **kind: object) -> int:
    return spool.record(
        count,
        lambda first: [make_row(first + n, **kind) for n in range(count)],  # type: ignore[arg-type]
    ).result(30)


def read_back(spool: Spool, last: int = 10**9) -> list[int]:
    return [row.sequence for row in spool.read_rows(1, last)]


def test_rows_come_back_as_they_were_and_numbers_ascend(spool: Spool, path: Path) -> None:
    assert [keep(spool), keep(spool, 3), keep(spool)] == [1, 2, 5]
    rows = [make_row(n) for n in (1, 2, 3, 4, 5)]
    assert spool.read_rows(1, 5) == rows
    assert (spool.marks.records, spool.marks.bytes) == (5, sum(row.size_bytes for row in rows))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_clean_close_leaves_no_gap_and_no_log(path: Path, open_spool: Open) -> None:
    spool = open_spool()
    keep(spool, 3)
    assert spool.record(2, lambda first: []).result() == 4
    spool.close()
    spool.close()
    with pytest.raises(SpoolError, match="must be open"):
        keep(spool)
    assert not [p for p in path.parent.iterdir() if p.name.endswith("-wal") and p.stat().st_size]
    again = open_spool()
    assert keep(again) == 6
    assert read_back(again) == [1, 2, 3, 6]
    again.close()


def test_numbers_are_reserved_before_they_are_given(path: Path, open_spool: Open) -> None:
    file = SpoolFile(path, LEAST_BYTES)  # What a killed process leaves is what was committed.
    spool = open_spool()
    for _ in range(3):
        first = spool.record(BLOCK // 3 * 2, lambda first: []).result()
        committed = file._read_marks().reserved
        assert committed >= first + BLOCK // 3 * 2 - 1
    spool.close()


def test_what_gathers_is_committed_together_and_in_order(spool: Spool) -> None:
    held, gate = threading.Event(), threading.Event()

    def stall(first: int) -> list[SpoolRow]:
        held.set()
        gate.wait(10)
        return [make_row(first)]

    waiting = [spool.record(1, stall)]
    assert held.wait(10)
    waiting += [spool.record(1, lambda first: [make_row(first)]) for _ in range(200)]
    statements: list[str] = []
    spool._file._connection.set_trace_callback(statements.append)
    gate.set()
    assert [future.result(30) for future in waiting] == list(range(1, 202))
    commits = statements.count("COMMIT")
    assert 4 <= commits <= 6  # 201 rows, 50 a transaction
    assert read_back(spool) == list(range(1, 202))


def test_who_gave_up_waiting_costs_nobody_else_anything(spool: Spool) -> None:
    held, gate = threading.Event(), threading.Event()

    def stall(first: int) -> list[SpoolRow]:
        held.set()
        gate.wait(10)
        return [make_row(first)]

    stalled = spool.record(1, stall)
    assert held.wait(10)
    gone = spool.record(1, lambda first: [make_row(first)])
    after = spool.record(1, lambda first: [make_row(first)])
    assert gone.cancel()
    gate.set()
    assert (stalled.result(30), after.result(30)) == (1, 2)
    assert read_back(spool) == [1, 2]


def test_a_row_that_cannot_be_made_fails_its_own_call_only(spool: Spool) -> None:
    def fail(first: int) -> list[SpoolRow]:
        raise ValueError("no row")

    with pytest.raises(ValueError, match="no row"):
        spool.record(1, fail).result(30)
    assert keep(spool) == 2


def test_a_range_that_was_begun_is_the_same_until_it_ends(open_spool: Open) -> None:
    spool = open_spool()
    assert spool.begin_range(MIB, 100) is None
    keep(spool, 3)
    assert spool.begin_range(MIB, 100) == (1, 3)
    keep(spool, 2)
    assert spool.begin_range(MIB, 100) == (1, 3)
    spool.close()
    again = open_spool()
    assert again.begin_range(1, 1) == (1, 3)
    again.end_range()
    assert read_back(again) == [4, 5]
    assert again.begin_range(MIB, 100) == (4, 5)
    again.end_range()
    assert again.begin_range(MIB, 100) is None
    assert (again.marks.records, again.marks.bytes, again.marks.dropped) == (0, 0, 0)
    again.close()


def test_a_range_is_of_one_model_and_shape_and_bounded(spool: Spool) -> None:
    keep(spool, 2)
    spool.record(1, lambda first: [make_truth_row(first)]).result(30)
    keep(spool, 1)
    spool.record(5, lambda first: []).result(30)  # Answers that were not kept.
    keep(spool, 1, model_id=OTHER_MODEL)
    keep(spool, 1, size=5)
    keep(spool, 1, size=5, times=b"8 bytes!")
    found = []
    while (found_range := spool.begin_range(MIB, 100)) is not None:
        found.append(found_range)
        spool.end_range()
    assert found == [(1, 4), (5, 10), (11, 11), (12, 12)]
    keep(spool, 10, size=1000)
    assert spool.begin_range(3000, 100) == (13, 14)
    spool.end_range()
    assert spool.begin_range(MIB, 3) == (15, 17)
    spool.end_range()
    assert spool.begin_range(1, 3) == (18, 18)


def disk_bytes(path: Path) -> int:
    return sum(p.stat().st_size for p in path.parent.iterdir())


@pytest.mark.parametrize(("size", "count"), [(3_000, 900), (100, 7_000), (100_000, 60)])
def test_a_full_spool_drops_the_oldest_and_stays_within_its_bytes(
    path: Path, open_spool: Open, size: int, count: int
) -> None:
    spool = open_spool()
    most = 0
    for _ in range(count // 50 + 1):
        keep(spool, 50, size=size)
        most = max(most, disk_bytes(path))
    assert most <= LEAST_BYTES
    kept = read_back(spool)
    total = (count // 50 + 1) * 50
    assert spool.dropped == total - len(kept) > 0
    assert kept == list(range(total - len(kept) + 1, total + 1))
    assert spool.marks.records == len(kept)
    assert spool.marks.bytes > LEAST_BYTES * 0.3
    spool.close()


def test_what_is_being_sent_is_not_dropped(open_spool: Open) -> None:
    spool = open_spool()
    keep(spool, 20, size=5000)
    assert spool.begin_range(MIB, 10) == (1, 10)
    for _ in range(30):
        keep(spool, 20, size=5000)
    assert read_back(spool, 20) == list(range(1, 11))
    assert spool.dropped > 100
    spool.end_range()
    after = spool.begin_range(MIB, 10)
    assert after is not None
    assert after[0] == 11
    assert spool.read_rows(*after)
    spool.close()


def test_a_row_that_can_never_fit_is_counted_and_its_answer_goes_out(open_spool: Open) -> None:
    spool = open_spool()
    assert keep(spool, 1, size=2 * MIB) == 1
    assert keep(spool) == 2
    assert read_back(spool) == [2]
    assert spool.dropped == 1
    spool.close()
    again = open_spool()
    assert again.dropped == 1
    again.close()


def test_a_disk_that_fails_costs_records_and_no_answer(
    spool: Spool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    keep(spool)
    with monkeypatch.context() as broken:

        def fail(*_: object) -> None:
            raise sqlite3.OperationalError("disk I/O error")

        broken.setattr(spool._file, "insert", fail)
        assert keep(spool, 3) == 2
        assert spool.dropped == 3
    assert "3 records were lost" in caplog.text
    assert keep(spool) == 5
    assert read_back(spool) == [1, 5]
    assert (spool.dropped, spool.marks.dropped) == (3, 3)


def test_a_disk_that_is_full_costs_no_answer_and_no_number_twice(disk: SmallDisk) -> None:
    disk.mount("size=3m")
    spool = Spool(disk.path / "spool.sqlite", 16 * MIB)
    try:
        keep(spool, 2)
        disk.fill()
        given = [keep(spool, 1, size=20_000) for _ in range(80)]
        assert given == list(range(3, 83))
        assert spool.dropped > 0
        disk.free()
        assert keep(spool) == 83
        kept = read_back(spool)
        assert kept[-1] == 83
        assert len(kept) + spool.dropped == 83
        assert spool.marks.records == len(kept)
    finally:
        spool.close()
    again = Spool(disk.path / "spool.sqlite", 16 * MIB)
    assert keep(again) == 84
    again.close()


def test_a_spool_that_cannot_be_used_is_named(path: Path) -> None:
    with pytest.raises(SpoolError, match="at least 1048576 bytes"):
        SpoolFile(path, 1000)
    path.write_bytes(b"no database " * 1000)
    with pytest.raises(SpoolError, match=r"spool\.sqlite\) must be an SQLite file"):
        SpoolFile(path, MIB)
