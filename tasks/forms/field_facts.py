"""Gathers facts of fields that a recipe declares as a whole: shape, type, range and labels."""

from collections.abc import Mapping

from gates.engine.tables import FieldFacts, FieldRule, ShardFacts, Table, tabulate_shards
from gates.raw.image import ImageFacts
from storage.datasets.version import Version
from storage.forms.base import RowsSpec
from storage.shards.entry import ShardEntry
from storage.upkeep.duplicates import iter_duplicates
from tasks.data.row_names import name_rows, name_unread
from tasks.forms.label_rows import count_labels, open_labels


def describe_fields(
    version: Version, data: RowsSpec, fields: Mapping[str, FieldRule]
) -> ImageFacts:
    """Gather what the raw gate judges of declared fields and labels; nothing but labels is read."""
    return ImageFacts(
        shards=tabulate_fields(version, fields),
        rows=open_labels(version),
        duplicates=name_rows(version, iter_duplicates(version)),
        fields=fields,
        labels=data.labels,
        label_counts=count_labels(version),
        unread=name_unread(version),
        undeclared=tuple(version.info.get("undeclared", ())),
    )


def tabulate_fields(version: Version, fields: Mapping[str, FieldRule]) -> Table:
    """Tabulate one row a shard: its size, split, source and the figures of its declared fields."""
    return tabulate_shards(_describe_shard(entry, tuple(fields)) for entry in version.shards)


def _describe_shard(entry: ShardEntry, fields: tuple[str, ...]) -> ShardFacts:
    """State a shard's figures as its manifest has them."""
    return ShardFacts(
        shard=entry.digest[:12],
        rows=entry.rows,
        split=entry.split,
        source=", ".join(sorted({span.name for span in entry.source})),
        fields={name: _describe_field(entry, name) for name in fields},
    )


def _describe_field(entry: ShardEntry, name: str) -> FieldFacts:
    statistics, field = entry.statistics[name], entry.find_field(name)
    return FieldFacts(
        dtype=field.dtype,
        shape=field.shape,
        min=statistics.min,
        max=statistics.max,
        nan=statistics.nan,
        null=statistics.null,
        inf=statistics.inf,
    )
