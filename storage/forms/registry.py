"""The forms of rows, by what a recipe's `data.kind` says."""

from storage.base.registry import Registry
from storage.forms.base import RowsSpec
from storage.forms.form import Form
from storage.forms.image import ImageForm
from storage.forms.series import SeriesForm
from storage.forms.table import TableForm

FORMS: Registry[Form] = Registry("form of rows", "storage")
for _form in (ImageForm(), TableForm(), SeriesForm()):
    FORMS.register(_form.name, _form)


def find_form(data: RowsSpec) -> Form:
    """Find the form of a data section.

    Raises:
        UnknownName: No form of that name is registered, nor brought by a plug-in.
    """
    return FORMS.find(data.kind)
