"""Collecting: a source's rows, untouched, as the shards of a raw version.

The source is walked once in this process; each part becomes one shard in one task: read, decode,
identify, measure, write, hash. A task that runs twice writes the same bytes to the same names: a
lost worker costs time, nothing else. Whatever is wrong with the values stays as it is, for the raw
gate to see.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from storage.base.errors import SourceError
from storage.base.parallel import TaskClient, map_in_order
from storage.base.store import Store
from storage.datasets.dataset import Dataset
from storage.datasets.scratch import open_scratch
from storage.datasets.version import Version
from storage.forms.base import DEFAULT_SHARD_BYTES, MAX_CLASSES_NAMED, RowsSpec
from storage.forms.registry import find_form
from storage.forms.remaining import Ends
from storage.forms.unreadable import Unreadable, merge_unreadable
from storage.pipeline.derived import measure_derived
from storage.pipeline.known_rows import KnownRows
from storage.pipeline.publishing import publish_version
from storage.pipeline.surveying import survey_source
from storage.shards.entry import ShardEntry, Span
from storage.shards.row_ids import ROW_ID, count_rows
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
from storage.sources.whole import require_whole

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

    A shard (none if no record could be read), faults, files that were read, undeclared classes,
    values that could not be read, and the ids of rows that are members of their own, or none where
    rows bring ids; None where they are counted.
    """

    entry: ShardEntry | None
    faults: tuple[Undecodable, ...]
    files: tuple[SourceFile, ...]
    undeclared: tuple[str, ...]
    unreadable: Mapping[str, Unreadable]
    ids: NDArray[np.uint64] | None = None


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
        not be read, the first 1,000), `fault_count`, and, if there are any, `undeclared`, the first
        names of classes that `spec` does not declare; `unreadable`, what of each column is there
        and cannot be read; `passed_over`, how many files lie where the source is and were not read,
        by ending.

    Raises:
        SourceError: The source cannot be read, or holds no rows.
        StorageError: The dataset cannot be written.
    """
    require_whole(source)
    gathered = _Gathered(source)
    ends = survey_source(source, spec, target_shard_bytes)
    with open_scratch(dataset) as scratch:
        spool = scratch if client is not None else None
        work = partial(
            collect_part,
            source=source,
            spec=spec,
            shards=dataset.shards,
            codec=codec,
            spool=spool,
            ends=ends,
        )
        tasks = _list_tasks(source.scan(spec, target_shard_bytes), gathered.beside, spool)
        for number, done in enumerate(map_in_order(work, tasks, client)):
            if spool is not None:
                spool.delete(_name_spooled(number))
            gathered.add(done)
            if on_progress is not None:
                on_progress(number + 1, None)
    info = gathered.finish()
    return publish_version(dataset, gathered.entries, kind="raw", info=info)


class _Gathered:
    """Gathers what the parts of a source became, in their order."""

    def __init__(self, source: Source) -> None:
        self.beside = _Beside()
        self.entries: list[ShardEntry] = []
        self._source = source
        self._faults: list[Undecodable] = []
        self._undeclared: set[str] = set()
        self._unreadable: dict[str, Unreadable] = {}
        self._known = KnownRows(source.display or source.type)

    def add(self, done: Collected) -> None:
        """Adds one part; refuses rows that came before."""
        self.beside.files.extend(done.files)
        self._faults += done.faults
        self._undeclared.update(done.undeclared)
        self._unreadable = merge_unreadable((self._unreadable, done.unreadable))
        if done.entry is not None:
            self.entries.append(done.entry)
            self._known.add(done.entry, done.ids)

    def finish(self) -> dict[str, object]:
        """Return what the version says of itself; refuses a source without rows."""
        if not self.entries:
            raise SourceError(_describe_empty(self._source, self._faults))
        self._known.check()
        rows = sum(entry.rows for entry in self.entries)
        identity = self._source.make_identity(self.beside.files, rows=rows)
        return _describe_version(identity, self._faults, self._undeclared) | _describe_rest(
            self._unreadable, self.beside.passed_over
        )


def collect_part(
    task: tuple[int, Part],
    source: Source,
    spec: RowsSpec | None,
    shards: Store,
    codec: str,
    spool: Store | None,
    ends: Ends | None = None,
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
        ends: What a survey of the whole source told, where rows need it.

    Raises:
        SourceError: The part cannot be read as rows.
    """
    number, part = task
    if spool is not None and part.spooled:
        part = replace(part, payload=spool.read(_name_spooled(number)))
    decoded = source.decode(part, spec)
    done = Collected(None, decoded.faults, decoded.files, decoded.undeclared, decoded.unreadable)
    if not count_rows(decoded.rows):
        return done
    if ends is not None and spec is not None and ROW_ID not in decoded.rows:
        decoded = replace(decoded, rows=find_form(spec).complete(decoded.rows, spec, ends))
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
    ids = rows[ROW_ID] if decoded.members is not None else None
    return replace(done, entry=entry, ids=rows[ROW_ID][:0] if ROW_ID in decoded.rows else ids)


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
    identity: SourceIdentity, faults: list[Undecodable], undeclared: set[str]
) -> dict[str, object]:
    listed = [{"name": fault.name, "reason": fault.reason} for fault in faults[:LISTED_FAULTS]]
    strange = {"undeclared": sorted(undeclared)[:MAX_CLASSES_NAMED]} if undeclared else {}
    return {
        "source": identity.model_dump(mode="json"),
        "faults": listed,
        "fault_count": len(faults),
        **strange,
    }


def _describe_rest(
    unreadable: Mapping[str, Unreadable], passed_over: Mapping[str, int]
) -> dict[str, object]:
    """Return what is said of a source only where there is any."""
    odd = {name: values.model_dump(mode="json") for name, values in sorted(unreadable.items())}
    said: dict[str, object] = {"unreadable": odd, "passed_over": dict(passed_over)}
    return {name: value for name, value in said.items() if value}


def _describe_empty(source: Source, faults: list[Undecodable]) -> str:
    where = source.display or source.type
    if not faults:
        return f"source ({where}) must hold rows; got none; check the source's url and names"
    first = "; ".join(f"{fault.name}: {fault.reason}" for fault in faults[:3])
    return (
        f"source ({where}) must hold rows that can be read; got {len(faults)} faults, as {first}; "
        "mend the files"
    )
