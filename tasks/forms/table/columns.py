"""Lists the columns of a table that are learned from or learned, as gates name them."""

from storage.forms.columns import NUMBERS, TARGET, name_field
from storage.forms.table import TableSpec
from storage.shards.row_ids import LABEL
from tasks.forms.columns import Column


def list_columns(data: TableSpec) -> tuple[Column, ...]:
    """List numbers, texts, label and target, in this order."""
    found = [
        Column(name, f"{NUMBERS}.{name}", "number", NUMBERS, place)
        for place, name in enumerate(data.numbers)
    ]
    for name in data.texts:
        field = name_field(name, data.texts)
        found.append(Column(name, field, "text", field))
    if data.label is not None:
        found.append(Column(data.label, LABEL, "label", LABEL))
    if data.target is not None:
        found.append(Column(data.target, TARGET, "target", TARGET))
    return tuple(found)
