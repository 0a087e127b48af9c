"""Wide rows become long ones where a model is asked, as they do where it learned."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from deployments.targets.errors import BadInput
from deployments.targets.run.forms.arrays import Samples
from deployments.targets.run.forms.records import Records
from storage.base.melting import MeltSpec, expand_names


def is_long(header: Collection[str], melt: MeltSpec) -> bool:
    """Tells whether rows have the columns already that others would be melted into."""
    return melt.name in header and melt.value in header


def find_wide(header: Sequence[str], melt: MeltSpec, where: str) -> tuple[str, ...]:
    """Find the columns that become rows.

    Raises:
        BadInput: Rows are neither wide nor long, or both.
    """
    both = [name for name in (melt.name, melt.value) if name in header]
    try:
        if not both:
            return tuple(dict.fromkeys(expand_names(melt.columns, header, set())))
    except ValueError:
        pass
    raise BadInput(
        f"input ({where}) must have the columns {', '.join(melt.columns)}, of which each becomes "
        f"rows, or {melt.name} and {melt.value} in their place; got {', '.join(header)[:200]}; "
        "name one or the other in full"
    )


def list_wide(
    values: Sequence[object],
    columns: Mapping[str, tuple[str, ...] | None],
    melt: MeltSpec,
    where: str,
) -> dict[str, tuple[str, ...] | None]:
    """List what is asked of wide JSON objects: their own columns in place of those melted into.

    Args:
        values: The objects.
        columns: What is asked of long ones, as `rows.list_columns` lists it.
        melt: Which columns become rows.
        where: What they came as, for messages.

    Raises:
        BadInput: They are neither wide nor long.
    """
    header = list(dict.fromkeys(key for row in values if isinstance(row, dict) for key in row))
    if is_long(header, melt):
        return dict(columns)
    kept = {name: told for name, told in columns.items() if name not in (melt.name, melt.value)}
    return kept | dict.fromkeys(find_wide(header, melt, where), columns.get(melt.value, ()))


def melt_records(found: Records, melt: MeltSpec, where: str) -> Iterator[tuple[str, Records]]:
    """Yield the long rows that come of each wide column, with its name.

    Raises:
        BadInput: The rows are neither wide nor long.
    """
    wide = find_wide(found.header, melt, where)
    kept = [place for place, name in enumerate(found.header) if name not in wide]
    header = [*(found.header[place] for place in kept), melt.name, melt.value]
    numbers = range(len(found.rows))
    places = found.places or [found.first + number for number in numbers]
    for name in wide:
        place = found.header.index(name)
        rows = [[*(row[each] for each in kept), name, row[place]] for row in found.rows]
        yield name, replace(found, header=header, rows=rows, places=places)


def join_long(parts: Sequence[tuple[str, Records]]) -> Records:
    """Return the rows of all columns: those that were one row before stand together."""
    records = [part for _, part in parts]
    first = records[0]
    rows = [
        row for together in zip(*(part.rows for part in records), strict=True) for row in together
    ]
    places = [place for place in first.places for _ in records]
    return replace(first, rows=rows, places=places)


def join_samples(parts: Sequence[tuple[str, Samples]]) -> Samples:
    """Return the samples of all entities, each with its name."""
    starts = np.cumsum([0, *(len(samples.raw) for _, samples in parts)]).tolist()
    times = [samples.times for _, samples in parts]
    told = [each for each in times if each is not None]
    return Samples(
        raw=np.concatenate([samples.raw for _, samples in parts]),
        times=np.concatenate(told) if len(told) == len(times) else None,
        notes=tuple(
            (start + row, words)
            for start, (_, samples) in zip(starts, parts, strict=False)
            for row, words in samples.notes
        ),
        names=tuple(name for name, samples in parts for _ in range(len(samples.raw))),
    )
