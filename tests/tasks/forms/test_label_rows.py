"""Labels that gates judge: the same as with all rows in memory."""

import numpy as np
import pandas as pd
import pytest

from tasks.forms.label_rows import count_labels, open_labels
from tests.gates.builders import tabulate_rows
from tests.tasks.forms.parts import SEEDS, SPLITS, join, make_parts, make_version


@SEEDS
@pytest.mark.parametrize(
    "labels", [5, 3000], ids=["few labels", "more labels than the manifest lists"]
)
def test_labels_are_those_of_all_rows_in_memory(tmp_path, seed, labels):
    parts = list(make_parts(seed, [700, 800, 900, 600, 500], labels=labels))
    version = make_version(tmp_path, parts)
    split = np.concatenate([np.full(len(rows["label"]), name) for name, rows in parts])
    valid = join(parts, "label__valid")
    wanted, found = tabulate_rows(
        join(parts, "row_id"), join(parts, "label"), join(parts, "content_hash"), split, valid
    )
    assert {name: count_labels(version, name) for name in SPLITS} == found["label_counts"]
    table = open_labels(version)
    for shard in table.shards:
        assert list(shard.head.dtypes) == list(shard.read().dtypes)
    read = pd.concat([shard.read(("row_id", "label")) for shard in table.shards], ignore_index=True)
    pd.testing.assert_frame_equal(read, wanted[["row_id", "label"]])
