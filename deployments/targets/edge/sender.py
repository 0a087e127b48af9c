"""Sending what is kept: range after range as signed batches, deleted once it was acknowledged.

Which rows a batch holds is fixed durably before it is sent, so one that has to be sent again after
a kill or a lost reply has the same bytes and the same name, and is one file. Where nobody answers,
it is tried again later and later, up to every five minutes, with some chance in it so that a
thousand devices do not come back at once.
"""

import json
import logging
import secrets
import sqlite3
import threading
import time
from collections.abc import Sequence
from datetime import datetime

import numpy as np

from deployments.targets.edge.spool import Spool
from deployments.targets.edge.spool_rows import SpoolRow
from deployments.targets.edge.uplinks import Uplink
from deployments.targets.errors import SpoolError, UplinkRefused
from deployments.targets.trust.receipt_signer import ReceiptSigner
from deployments.targets.trust.uplink import UplinkBatch, UplinkRecord, name_batch, pack_batch
from storage.base.errors import StorageError

logger = logging.getLogger(__name__)
BATCH_BYTES, BATCH_ROWS = 2**20, 2000
LONGEST_WAIT_S = 300.0
_DRAWS = secrets.SystemRandom()


class Sender:
    """A thread that empties a spool into an uplink.

    Args:
        spool: The spool.
        uplink: Where its batches go.
        device: The device's id.
        signer: Its key.
        interval_s: How long it waits for more after everything was sent.
        batch_bytes: About how much one batch holds; one record alone may hold more.
        batch_rows: How many records one holds at most.
    """

    def __init__(
        self,
        spool: Spool,
        uplink: Uplink,
        device: str,
        signer: ReceiptSigner,
        *,
        interval_s: float,
        batch_bytes: int = BATCH_BYTES,
        batch_rows: int = BATCH_ROWS,
    ) -> None:
        self._spool, self._uplink = spool, uplink
        self._device, self._signer = device, signer
        self._interval_s = interval_s
        self._limits = (batch_bytes, batch_rows)
        self._stopping = threading.Event()
        self._deadline_s = float("inf")
        self._fault: str | None = None
        # Who is asked to stop does not wait for a network that hangs.
        self._thread = threading.Thread(target=self._run, name="lepton-uplink", daemon=True)

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def stop(self, timeout_s: float) -> None:
        """Sends what is left, as far as that goes within the time, and ends the thread."""
        self._deadline_s = time.monotonic() + timeout_s
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def send_all(self) -> int:
        """Sends everything that is kept; returns how many batches that were.

        Raises:
            UplinkRefused: The other end does not trust a batch.
            StorageError: One could not be sent now.
            SpoolError: The spool is closed.
            sqlite3.Error: The spool cannot be read or written.
        """
        count = 0
        while time.monotonic() < self._deadline_s and self._send_range():
            count += 1
        return count

    def _run(self) -> None:
        waits = Backoff(min(1.0, self._interval_s))
        wait_s = self._interval_s
        while True:
            last = self._stopping.wait(wait_s)
            try:
                self.send_all()
            except (UplinkRefused, StorageError, SpoolError, sqlite3.Error) as error:
                self._note(str(error))
                wait_s = waits.draw()
            except Exception as error:
                # What is kept must not stay for good because of a fault that may pass.
                logger.exception("Sending failed; trying again")
                self._note(str(error))
                wait_s = waits.draw()
            else:
                self._note(None)
                waits.reset()
                wait_s = self._interval_s
            if last:
                return

    def _note(self, fault: str | None) -> None:
        """Says what went wrong once, not at every try."""
        if fault == self._fault:
            return
        if fault is None:
            logger.warning("Uplink %s answers again", self._uplink.display)
        else:
            logger.warning("Nothing is lost, but not sent yet: %s", fault)
        self._fault = fault

    def _send_range(self) -> bool:
        """Sends one range; says whether there was one."""
        found = self._spool.begin_range(*self._limits)
        if found is None:
            return False
        first, last = found
        rows = self._spool.read_rows(first, last)
        try:
            batch = make_batch(self._device, first, last, rows)
            data = pack_batch(batch, self._signer)
        except (ValueError, UplinkRefused):
            # Never seen; but rows that make no batch must not stand in the way of all others.
            logger.exception("%d records are dropped: they make no batch", len(rows))
            self._spool.end_range(dropped=True)
            return True
        self._uplink.send(name_batch(batch, data), data)
        self._spool.end_range()
        return True


class Backoff:
    """Waits that double, each cut by a part that is drawn.

    Args:
        shortest_s: The first wait.
        longest_s: The longest one.
    """

    def __init__(self, shortest_s: float, longest_s: float = LONGEST_WAIT_S) -> None:
        self._shortest_s, self._longest_s = shortest_s, longest_s
        self._next_s = shortest_s

    def draw(self) -> float:
        """Returns the next wait, in seconds."""
        wait_s = self._next_s * _DRAWS.uniform(0.5, 1.0)
        self._next_s = min(self._next_s * 2, self._longest_s)
        return wait_s

    def reset(self) -> None:
        """Begins anew."""
        self._next_s = self._shortest_s


def make_batch(device: str, first: int, last: int, rows: Sequence[SpoolRow]) -> UplinkBatch:
    """Return the batch of a range from the rows that are kept of it."""
    answers = [row for row in rows if row.kind == "answer"]
    if not answers:
        records = tuple(map(_make_record, rows))
        return UplinkBatch(device, first, last, None, records, np.zeros(0, np.float32))
    head = answers[0]
    inputs = np.frombuffer(b"".join(row.data for row in answers), head.dtype)
    times = None
    if head.times is not None:
        joined = b"".join(row.times or b"" for row in answers)
        times = np.frombuffer(joined, "<f8").reshape(len(answers), -1)
    return UplinkBatch(
        device=device,
        first=first,
        last=last,
        model_id=head.model_id,
        records=tuple(map(_make_record, rows)),
        inputs=inputs.reshape(len(answers), *json.loads(head.shape or "[]")),
        times=times,
    )


def _make_record(row: SpoolRow) -> UplinkRecord:
    said = json.loads(row.said)
    is_answer = row.kind != "truth"
    return UplinkRecord.model_validate(
        {
            "sequence": row.sequence,
            "kind": row.kind,
            "at": datetime.fromisoformat(row.at),
            "model_id": row.model_id,
            "probability": row.probability,
            "reason": row.reason,
            "answer_id": row.answer_id,
            "answer": said if is_answer else {},
            "truth": None if is_answer else said,
        }
    )
