"""Devices for tests: enrolled in a workspace, they send signed batches of answers and truths."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deployments.targets.trust.devices import add_device, make_code
from deployments.targets.trust.receipt_signer import ReceiptSigner, make_private_pem, make_signer
from deployments.targets.trust.uplink import (
    UPLINKS,
    UplinkBatch,
    UplinkRecord,
    name_batch,
    pack_batch,
)
from storage.base.store import Store


@dataclass
class Device:
    """An enrolled device, and the number of what it sent last."""

    workspace: Store
    id: str = "d1"
    last: int = 0
    signer: ReceiptSigner = field(default_factory=lambda: make_signer(make_private_pem(), "test"))

    def enroll(self) -> "Device":
        add_device(self.workspace, make_code(self.id, self.signer), device_class="default")
        return self

    def make_batch(
        self,
        inputs: NDArray[Any],
        model_id: str,
        *,
        times: NDArray[np.float64] | None = None,
        at: datetime | None = None,
        truths: Sequence[tuple[str, Any]] = (),
    ) -> UplinkBatch:
        first, moment = self.last + 1, at or datetime.now(UTC)
        records = [
            UplinkRecord(
                sequence=first + place,
                kind="answer",
                at=moment,
                model_id=model_id,
                answer_id=f"{self.id}:{first + place}",
                answer={"label": "3"},
            )
            for place in range(len(inputs))
        ]
        records += [
            UplinkRecord(
                sequence=first + len(inputs) + place,
                kind="truth",
                at=moment,
                answer_id=answer_id,
                truth=truth,
            )
            for place, (answer_id, truth) in enumerate(truths)
        ]
        self.last = first + len(records) - 1
        return UplinkBatch(
            device=self.id,
            first=first,
            last=self.last,
            model_id=model_id if len(inputs) else None,
            records=tuple(records),
            inputs=inputs,
            times=times,
        )

    def send(self, inputs: NDArray[Any], model_id: str, **more: Any) -> tuple[str, list[str]]:
        """Puts a batch below `uplinks`; gives the file's name and the ids of its answers."""
        batch = self.make_batch(inputs, model_id, **more)
        data = pack_batch(batch, self.signer)
        name = name_batch(batch, data)
        self.workspace.put_if_absent(f"{UPLINKS}/{name}", data)
        return name, [each.answer_id for each in batch.records if each.kind == "answer"]

    def tell(self, *truths: tuple[str, Any], at: datetime | None = None) -> str:
        """Sends a batch of truths alone."""
        return self.send(np.zeros((0, 1), np.float32), "", truths=truths, at=at)[0]
