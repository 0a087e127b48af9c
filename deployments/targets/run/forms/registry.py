"""The readers of files into raw samples, by the form on a model's card."""

from collections.abc import Callable

from deployments.targets.run.forms.arrays import Raw, Samples
from deployments.targets.run.forms.image import read_image
from deployments.targets.run.forms.records import Records
from deployments.targets.run.forms.rows import read_records, read_rows
from deployments.targets.trust.card import InputSpec
from storage.base.registry import Registry

Reader = Callable[[bytes, InputSpec, str], Raw]
"""From a file's bytes, what the model takes and the file's name to (N, *shape); raises BadInput."""

RecordReader = Callable[[Records, InputSpec, str], Samples]
"""From rows that are still texts, what the model takes and their name; raises BadInput."""

READERS: Registry[Reader] = Registry("form of input", "targets")
"""Every reader by its form; a plug-in's module `targets` registers its own."""

READERS.register("image", read_image)
READERS.register("table", read_rows)
READERS.register("series", read_rows)

RECORD_READERS: Registry[RecordReader] = Registry("form of records", "targets")
"""Forms of which a row is a record: CSV files and JSON objects are read by these."""

RECORD_READERS.register("table", read_records)
RECORD_READERS.register("series", read_records)
