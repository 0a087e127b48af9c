"""Names of rows."""

import numpy as np

from tasks.data.row_names import name_rows
from tests.tasks.forms.parts import make_parts, make_version


def test_the_first_rows_are_named_in_the_order_of_the_version(tmp_path):
    version = make_version(tmp_path, make_parts(0, [40, 50, 60]))
    found = name_rows(
        version, iter([(2, np.arange(5, 30)), (0, np.array([7])), (2, np.array([1]))])
    )
    assert (found.count, found.rows, len(found.names)) == (27, 150, 20)
    assert [f"{name.split(' row_id ')[0].split(' ', 3)[3]}" for name in found.names[:3]] == [
        "7 split train",
        "1 split held_out",
        "5 split held_out",
    ]
