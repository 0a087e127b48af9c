"""Lists the forms of rows that tasks know, in a table that plug-ins can add to."""

from typing import Any

from storage.base.registry import Registry
from storage.forms.base import RowsSpec
from tasks.forms.base import TaskForm
from tasks.forms.image import ImageForm
from tasks.forms.series import SeriesForm
from tasks.forms.table.form import TableForm

FORMS: Registry[TaskForm[Any, Any]] = Registry("form of rows", "tasks")
FORMS.register("image", ImageForm())
FORMS.register("table", TableForm())
FORMS.register("series", SeriesForm())


def find_task_form(data: RowsSpec) -> TaskForm[Any, Any]:
    """Find the form of a recipe's rows.

    Raises:
        UnknownName: There is none of that name.
    """
    return FORMS.find(data.kind)
