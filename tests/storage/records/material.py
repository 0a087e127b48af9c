"""Receipts that these tests write."""

from datetime import UTC, datetime

from storage.base.store import sha256_bytes
from storage.records.receipts import CodeRecord, ModelRecord, Receipt

MODEL = "ab" * 32


def sign(data: bytes) -> dict[str, str]:
    return {"keyid": "k" * 64, "method": "ed25519", "signature": sha256_bytes(data)}


def make_receipt(run: str = "one", *, promoted: bool = True, model: str | None = MODEL) -> Receipt:
    return Receipt(
        run=run,
        flow="lifecycle",
        required_gates=("raw", "prepared", "model", "artifact"),
        status="promoted" if promoted else "stopped",
        stopped_at=None if promoted else "gate model",
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        lepton=CodeRecord(version="0", digest="d"),
        packages={},
        machine={},
        recipe={"name": "digits"},
        model=ModelRecord(id=model, checkpoint="c") if model else None,
    )
