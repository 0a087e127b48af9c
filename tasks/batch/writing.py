"""Writes answers for other programs: a shard becomes one file of Parquet or CSV."""

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from deployments.targets.trust.card import OutputSpec
from storage.base.store import Store, sha256_bytes
from storage.records.receipts import FileRecord
from storage.shards.entry import ShardEntry
from storage.shards.reading import read_shard
from storage.shards.row_ids import ROW_ID, VALID_SUFFIX, Rows
from tasks.batch.answering import NOTE, PLACE
from tasks.batch.outcomes import Format

if TYPE_CHECKING:
    import pyarrow as pa

Columns = dict[str, Any]


@dataclass(frozen=True)
class Writer:
    """Writes shards of answers as files; it travels to workers.

    Attributes:
        shards: Where shards of answers are kept.
        out: Where the files go.
        format: "parquet" or "csv".
        outputs: What the model answers with.
        model_id: Which model answered.
    """

    shards: Store
    out: Store
    format: Format
    outputs: tuple[OutputSpec, ...]
    model_id: str


def write_part(task: tuple[int, ShardEntry], writer: Writer) -> tuple[str, FileRecord]:
    """Write one file of answers; the same answers make the same bytes under the same name.

    Args:
        task: Number of the shard, and the shard.
        writer: Writes it.

    Returns:
        The file's name, its digest and its size.
    """
    number, entry = task
    table = tabulate(read_shard(writer.shards, entry), entry, writer)
    file = io.BytesIO()
    _WRITERS[writer.format](table, file)
    content = file.getvalue()
    name = f"part-{number:05d}.{writer.format}"
    writer.out.write(name, content)
    return name, FileRecord(sha256=sha256_bytes(content), size_bytes=len(content))


def tabulate(rows: Rows, entry: ShardEntry, writer: Writer) -> "pa.Table":
    """Return the columns of a file of answers.

    These are `row_id`; `file`, where each row's is known, and `row`, its record there, missing
    where that is not; `split`, where there is one; what the model says, as `label`, `confidence`
    (the label's probability) and `probability.NAME`, `score`, or `value`; `note` and `model_id`.
    """
    import pyarrow as pa

    columns: Columns = {ROW_ID: rows[ROW_ID], **_locate(entry, rows)}
    if entry.split:
        columns["split"] = _repeat(entry.split, len(rows[ROW_ID]))
    labels = [rows[spec.name] for spec in writer.outputs if spec.meaning == "label"]
    for spec in writer.outputs:
        columns |= _name_output(spec, rows[spec.name], labels[0] if labels else None)
    said, valid = rows[NOTE].tolist(), rows[NOTE + VALID_SUFFIX].tolist()
    notes = [text if there else None for text, there in zip(said, valid, strict=True)]
    columns[NOTE] = pa.array(notes, pa.string())
    columns["model_id"] = _repeat(writer.model_id, len(said))
    return pa.table({name: pa.array(values) for name, values in columns.items()})


def _locate(entry: ShardEntry, rows: Rows) -> Columns:
    """Return the file and the record of each row, where all are of one span of records."""
    import pyarrow as pa

    if len(entry.source) != 1:
        return {}
    places, known = rows[PLACE], rows[PLACE + VALID_SUFFIX]
    name = entry.source[0].name
    return {"file": _repeat(name, len(places)), "row": pa.array(places, mask=~known)}


def _name_output(
    spec: OutputSpec, values: NDArray[Any], labels: NDArray[np.int64] | None
) -> Columns:
    """Return an output's columns, by its meaning as far as it is known here.

    Args:
        spec: The output.
        values: What it says of each row, (N, ...).
        labels: The place of each row's class, (N,), where there is one: by a threshold it need not
            be the most probable one.
    """
    if spec.meaning == "label":
        return {"label": np.array(spec.labels, dtype=object)[values]}
    if spec.meaning == "probabilities" and spec.shape == (len(spec.labels),):
        shares = np.clip(values, 0.0, 1.0)
        named = {f"probability.{name}": shares[:, p] for p, name in enumerate(spec.labels)}
        sure = {} if labels is None else {"confidence": shares[np.arange(len(labels)), labels]}
        return {**sure, **named}
    name = {"values": "value"}.get(spec.meaning, spec.meaning.replace(" ", "."))
    if values.ndim == 1:
        return {name: values}
    return {name: list(values.reshape(len(values), -1))}


def _repeat(text: str, count: int) -> "pa.Array":
    import pyarrow as pa

    return pa.DictionaryArray.from_arrays(np.zeros(count, np.int32), [text]).cast(pa.string())


def _write_parquet(table: "pa.Table", file: io.BytesIO) -> None:
    from pyarrow import parquet

    parquet.write_table(table, file, compression="zstd")


def _write_csv(table: "pa.Table", file: io.BytesIO) -> None:
    from pyarrow import csv

    csv.write_csv(table, file)


_WRITERS: Mapping[str, Callable[["pa.Table", io.BytesIO], None]] = {
    "parquet": _write_parquet,
    "csv": _write_csv,
}
