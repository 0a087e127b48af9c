"""Which columns of a wide table become rows of a long one, where one learns and where one asks."""

import re
from collections.abc import Iterator, Sequence

from pydantic import BaseModel, ConfigDict, Field, model_validator

from storage.base.shown import list_names

ANY = "*"


class MeltSpec(BaseModel):
    """Columns that hold the same of one entity each; a model is asked with wide or long rows."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    columns: tuple[str, ...] = Field(min_length=1)
    """The columns, or patterns as `"store_*"`, of each file."""
    name: str
    """What the new column of the columns' names is called, as `store`: a text like any other."""
    value: str
    """What the new column of their values is called, as `sales`."""

    @model_validator(mode="after")
    def _check_names(self) -> "MeltSpec":
        if self.name == self.value:
            raise ValueError(
                f"name ({self.name}) must be another than value; write as name: store, value: sales"
            )
        return self


def expand_names(names: Sequence[str], header: Sequence[str], taken: set[str]) -> Iterator[str]:
    """Yield the columns that names stand for; those of patterns are added to what is taken.

    Raises:
        ValueError: No column fits a pattern.
    """
    for name in names:
        if ANY not in name or name in header:
            yield name
            continue
        pattern = re.compile(".*".join(map(re.escape, name.split(ANY))), re.S)
        fit = [column for column in header if pattern.fullmatch(column) and column not in taken]
        if not fit:
            raise ValueError(
                f"({name}) must fit a column that the section does not name elsewhere, of "
                f"{list_names(header)}; mend the pattern, or remove it"
            )
        taken.update(fit)
        yield from fit
