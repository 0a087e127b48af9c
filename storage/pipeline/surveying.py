"""Looks at a whole source before its rows are read, where a row's target hangs on later rows."""

from storage.forms.base import RowsSpec
from storage.forms.registry import find_form
from storage.forms.remaining import Ends
from storage.shards.row_ids import ROW_ID
from storage.sources.base import Part, Source


def survey_source(source: Source, spec: RowsSpec | None, target_bytes: int) -> Ends | None:
    """Return the end of each entity's life; None where the rows need not know it.

    Only the columns that tell it are read, in this process. Rows that bring their own ids came back
    with their truth, and end nothing.

    Raises:
        SourceUnavailable: A file is absent or cannot be reached.
        SourceError: A file is damaged, or not what it should be.
    """
    asked = find_form(spec).describe_survey(spec) if spec is not None else None
    if spec is None or asked is None:
        return None
    form = find_form(spec)
    found: dict[int, float] = {}
    for item in source.scan(asked, target_bytes):
        if not isinstance(item, Part):
            continue
        rows = source.decode(item, asked).rows
        if ROW_ID in rows:
            continue
        for entity, end in form.survey(rows, spec).items():
            found[entity] = max(end, found.get(entity, end))
    return found
