"""What folders and files are called, as columns: by which of them rows are kept together."""

import numpy as np
import pyarrow as pa
import pytest

from storage.base.path_patterns import list_names, match_path
from tasks.drafting.columns import profile_column
from tasks.drafting.inputs import Roles, choose_inputs

PATTERN = "{folder}/{file}.csv"


@pytest.mark.parametrize(
    ("folders", "files", "group"),
    [(12, 3, "folder"), (3, 4, "folder/file"), (12, 30, "folder"), (2, 2, None)],
)
def test_rows_are_kept_together_by_the_coarsest_part_of_their_path(folders, files, group):
    """Two files of one patient's folder must not lie on both sides of a split."""
    draws = np.random.default_rng(0)
    told = [
        match_path(PATTERN, f"patient {folder}/visit {file}.csv") or {}
        for folder in range(folders)
        for file in range(files)
        for _ in range(5)
    ]
    columns = [
        profile_column(name, pa.chunked_array([[each[name] for each in told]]))
        for name in list_names(PATTERN)
    ]
    for column in columns:
        column.of_path = True
    values = [f"{value:.3f}" for value in draws.normal(size=len(told))]
    answers = [("ill", "well")[n % 2] for n in range(len(told))]
    size = profile_column("size", pa.chunked_array([values]))
    answer = profile_column("state", pa.chunked_array([answers]))
    found = choose_inputs([size, answer, *columns], Roles("tabular-classification", answer)).group
    assert (None if found is None else found.name) == group
