"""Collecting: a source's rows, untouched, as the shards of a raw version.

The source is walked once in this process; each part becomes one shard in one task: read, decode,
identify, measure, write, hash. A task that runs twice writes the same bytes to the same names: a
lost worker costs time, nothing else. Whatever is wrong with the values stays as it is, for the raw
gate to see.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial

from storage.base.errors import SourceError
from storage.base.parallel import TaskClient, map_in_order
from storage.base.store import Store
from storage.datasets.dataset import Dataset
from storage.datasets.scratch import open_scratch
from storage.datasets.version import Version
from storage.forms.base import DEFAULT_SHARD_BYTES, MAX_CLASSES_NAMED, RowsSpec
from storage.pipeline.derived import measure_derived
from storage.pipeline.publishing import publish_version
from storage.shards.entry import ShardEntry, Span
from storage.shards.row_ids import count_rows
from storage.shards.writing import write_shard
from storage.sources.base import (
    Part,
    PassedOver,
    Source,
    SourceFile,
    SourceIdentity,
    Undecodable,
    identify_rows,
)

LISTED_FAULTS = 1000

Progress = Callable[[int, int | None], None]
"""Called with the number of finished steps, and of all steps where that is known."""


@dataclass(frozen=True)
class _Beside:
    """What a scan says beside the parts: files that it read, and how many it passed over."""

    files: list[SourceFile] = field(default_factory=list)
    passed_over: dict[str, int] = field(default_factory=dict)

    def keep(self, item: SourceFile | PassedOver) -> None:
        if isinstance(item, SourceFile):
            self.files.append(item)
            return
        for ending, count in item.endings.items():
            self.passed_over[ending] = self.passed_over.get(ending, 0) + count


@dataclass(frozen=True)
class Collected:
    """What one part became.

    A shard (none if no record could be read), faults, files that were read, undeclared classes.
    """

    entry: ShardEntry | None
    faults: tuple[Undecodable, ...]
    files: tuple[SourceFile, ...]
    undeclared: tuple[str, ...]


def collect_rows(
    source: Source,
    dataset: Dataset,
    client: TaskClient | None = None,
    *,
    spec: RowsSpec | None = None,
    target_shard_bytes: int = DEFAULT_SHARD_BYTES,
    codec: str = "auto",
    on_progress: Progress | None = None,
) -> Version:
    """Collects all rows of a source as a version of a dataset.

    The shards depend on the source, `spec`, `target_shard_bytes` and `codec` only. If the latest
    version holds the same already, it is given back and nothing is committed.

    Args:
        source: Where the rows come from.
        dataset: Where they go to.
        client: Client of a Dask cluster; None does all work in this process.
        spec: The recipe's data section: what images are brought to, names of classes and columns.
        target_shard_bytes: Decoded size of a shard.
        codec: Codec of the shards; `auto` chooses by a sample of each.
        on_progress: Told how many shards are written.

    Returns:
        The version. Its `info` holds `source` (a `SourceIdentity`), `faults` (records that could
        not be read, the first 1,000), `fault_count`, and `undeclared`, the first names of classes
        that `spec` does not declare, if any; `passed_over`, how many files of the source are none
        of its kind, by ending, if any.

    Raises:
        SourceError: The source cannot be read, or holds no rows.
        StorageError: The dataset cannot be written.
    """
    beside = _Beside()
    files = beside.files
    faults: list[Undecodable] = []
    entries: list[ShardEntry] = []
    undeclared: set[str] = set()
    with open_scratch(dataset) as scratch:
        spool = scratch if client is not None else None
        work = partial(
            collect_part, source=source, spec=spec, shards=dataset.shards, codec=codec, spool=spool
        )
        tasks = _list_tasks(source.scan(spec, target_shard_bytes), beside, spool)
        for number, done in enumerate(map_in_order(work, tasks, client)):
            if spool is not None:
                spool.delete(_name_spooled(number))
            files += done.files
            faults += done.faults
            undeclared.update(done.undeclared)
            entries += [done.entry] if done.entry is not None else []
            if on_progress is not None:
                on_progress(number + 1, None)
    if not entries:
        raise SourceError(_describe_empty(source, faults))
    identity = source.make_identity(files, rows=sum(entry.rows for entry in entries))
    return publish_version(
        dataset,
        entries,
        kind="raw",
        info=_describe_version(identity, faults, undeclared, beside.passed_over),
    )


def collect_part(
    task: tuple[int, Part],
    source: Source,
    spec: RowsSpec | None,
    shards: Store,
    codec: str,
    spool: Store | None,
) -> Collected:
    """Makes one whole shard of one part.

    Args:
        task: Number of the part, and the part.
        source: The source that the part is of.
        spec: The recipe's data section.
        shards: Where shards are kept.
        codec: Codec of the shard.
        spool: Where the bytes of parts wait for their worker; None where the part carries them
            itself.

    Raises:
        SourceError: The part cannot be read as rows.
    """
    number, part = task
    if spool is not None and part.spooled:
        part = replace(part, payload=spool.read(_name_spooled(number)))
    decoded = source.decode(part, spec)
    if not count_rows(decoded.rows):
        return Collected(None, decoded.faults, decoded.files, decoded.undeclared)
    rows = identify_rows(part, decoded)
    spans = (Span(name=part.name, start=part.start, stop=part.stop),)
    derived = measure_derived(rows, decoded.columns)
    entry = write_shard(
        shards,
        rows,
        split=part.split,
        codec=codec,
        source=spans,
        columns=decoded.columns,
        statistics=derived,
    )
    return Collected(entry, decoded.faults, decoded.files, decoded.undeclared)


def _list_tasks(
    items: Iterator[Part | SourceFile | PassedOver], beside: _Beside, spool: Store | None
) -> Iterator[tuple[int, Part]]:
    """Numbers the parts, keeps what is said beside them, puts bytes where each worker reads them.

    Bytes go through a file and not through the scheduler, which would hold all of them and lose
    them with a worker.
    """
    number = 0
    for item in items:
        if not isinstance(item, Part):
            beside.keep(item)
            continue
        if spool is not None and item.payload:
            spool.write_scratch(_name_spooled(number), item.payload)
            item = replace(item, payload=b"", spooled=True)
        yield number, item
        number += 1


def _name_spooled(number: int) -> str:
    return f"{number:08d}.part"


def _describe_version(
    identity: SourceIdentity,
    faults: list[Undecodable],
    undeclared: set[str],
    passed_over: Mapping[str, int],
) -> dict[str, object]:
    listed = [{"name": fault.name, "reason": fault.reason} for fault in faults[:LISTED_FAULTS]]
    strange = {"undeclared": sorted(undeclared)[:MAX_CLASSES_NAMED]} if undeclared else {}
    others: dict[str, object] = {"passed_over": dict(passed_over)} if passed_over else {}
    return {
        "source": identity.model_dump(mode="json"),
        "faults": listed,
        "fault_count": len(faults),
        **strange,
        **others,
    }


def _describe_empty(source: Source, faults: list[Undecodable]) -> str:
    where = source.display or source.type
    if not faults:
        return f"source ({where}) must hold rows; got none; check the source's url and names"
    first = "; ".join(f"{fault.name}: {fault.reason}" for fault in faults[:3])
    return (
        f"source ({where}) must hold rows that can be read; got {len(faults)} faults, as {first}; "
        "mend the files"
    )
