"""Tells tasks of series: rows of columns that follow each other in time, by entity."""

from deployments.targets.trust.card import InputSpec
from lightning_modules.specs.samples import RowSample
from storage.forms.table import TableSpec
from tasks.forms.table.form import TableForm
from tasks.forms.table.samples import describe_columns, describe_time


class SeriesForm(TableForm):
    """Is the form of series of one entity or many, of which windows are samples."""

    ordered = True

    def describe_input(self, sample: RowSample, data: TableSpec) -> InputSpec:
        """Describe the columns of a window, its entity, its time and its longest gap."""
        found = describe_columns(sample, data)
        if sample.window is None:
            return found
        ahead = {"ahead": sample.window.ahead, "known": sample.window.known}
        found = found.model_copy(update=ahead)
        if data.time is None:
            return found
        time = describe_time(data)
        gap = sample.window.max_gap_steps
        return found.model_copy(update={"entity": data.entity, "time": time, "max_gap_steps": gap})
