"""What the data sections of all forms have in common."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field

from storage.base.time_styles import TimeStyle
from storage.forms.image_field import ImageField
from storage.forms.rules import Condition, SplitSpec
from storage.forms.time_field import TimeField, describe_style, name_time

DEFAULT_SHARD_BYTES = 8 * 2**20
MAX_CLASSES_NAMED = 20
MISSING = ("", "NA", "N/A", "NaN", "nan", "null", "NULL", "None", "?")
"""Texts that mean that there is no value, unless a data section says otherwise."""
IMPORT_PATH = r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$"

if TYPE_CHECKING:
    neutral = property
else:

    class neutral:  # noqa: N801 - reads as `property` does
        """A property that a subclass may have as a field; pydantic refuses that for `property`."""

        def __init__(self, compute: Callable[[Any], Any]) -> None:
            self.compute = compute
            self.__doc__ = compute.__doc__

        def __get__(self, section: Any, owner: type | None = None) -> Any:
            if section is None:
                raise AttributeError("a neutral property belongs to an instance")
            return self.compute(section)


class RowsSpec(BaseModel):
    """Holds what the data sections of all forms have in common.

    A section answers all properties below, whatever its form: with a neutral value where it has no
    field of that name.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        allow_inf_nan=False,
        use_attribute_docstrings=True,
        ignored_types=(neutral,),
    )

    kind: str
    """The form of the rows, by its name in `storage.forms.registry.FORMS`."""
    split: SplitSpec = SplitSpec(by="hash", held_out=0.2)
    """How rows are split."""
    deduplicate: bool = True
    """Keep only the first of rows with equal content inside a split."""
    filter: tuple[Condition, ...] = ()
    """Conditions that every kept row meets."""
    transform: str | None = Field(default=None, pattern=IMPORT_PATH)
    """A function of your own, `package.module:function`, from rows to rows. It gets and gives a
    dict of arrays that share axis 0, and is applied once, when rows are prepared. Nobody applies it
    to what is asked, neither `lepton predict FILE` nor an endpoint nor a device: of what a model
    takes, leave values as files hold them, or ask with values as it gives them."""

    @neutral
    def labels(self) -> tuple[str, ...]:
        """Names of the classes; none where rows have no class."""
        return ()

    @neutral
    def numbers(self) -> tuple[str, ...]:
        """Columns of numbers."""
        return ()

    @neutral
    def dates(self) -> tuple[str, ...]:
        """Those columns of numbers that are dates in files, in seconds since 1970."""
        return ()

    @neutral
    def date_format(self) -> str | None:
        """Format of these dates; None for ISO 8601."""
        return None

    @property
    def date_style(self) -> TimeStyle:
        """How these dates are told."""
        return describe_style(None, self.date_format, None)

    @neutral
    def texts(self) -> tuple[str, ...]:
        """Columns of text."""
        return ()

    @neutral
    def metadata(self) -> tuple[str, ...]:
        """Columns of text that nothing is learned from."""
        return ()

    @neutral
    def label(self) -> str | None:
        """Column of the class."""
        return None

    @neutral
    def target(self) -> str | None:
        """Column of the number to be predicted."""
        return None

    @neutral
    def time(self) -> TimeField:
        """Column of the time, columns that tell it together, or how it is counted."""
        return None

    @neutral
    def entity(self) -> str | None:
        """Column that tells the entities of series apart."""
        return None

    @neutral
    def time_format(self) -> str | None:
        """Format of the time; None for ISO 8601."""
        return None

    @neutral
    def time_zone(self) -> str | None:
        """Zone whose clocks say the time; None for UTC."""
        return None

    @property
    def time_name(self) -> str | None:
        """What the time is called; None where rows have none."""
        return name_time(self.time)

    @property
    def time_style(self) -> TimeStyle:
        """How the time is told."""
        return describe_style(self.time, self.time_format, self.time_zone)

    @neutral
    def missing(self) -> tuple[str, ...]:
        """Texts that mean that there is no value."""
        return MISSING

    @neutral
    def image(self) -> ImageField | None:
        """What an image is; None where rows hold none."""
        return None

    @property
    def target_column(self) -> str | None:
        """Column of numbers that the target is read from."""
        return self.target

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns that are read."""
        return ()
