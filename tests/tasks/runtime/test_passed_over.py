"""The stage says how many files of a source were not read."""

import pytest

from storage.records.receipts import DatasetRecord, SourceRecord
from tasks.runtime.outcomes import Collected


@pytest.mark.parametrize(
    ("endings", "said"),
    [
        ({}, ()),
        ({".txt": 1}, ("1 file passed over (1 .txt)",)),
        (
            {"": 2, ".gif": 1, ".tif": 3, ".webp": 1200},
            ("1,206 files passed over (1,200 .webp, 3 .tif, 2 without one)",),
        ),
    ],
)
def test_what_was_passed_over_is_counted(endings, said):
    digest = "0" * 64
    collected = Collected(
        source=SourceRecord(type="images", url="x", digest=digest, files={}),
        dataset=DatasetRecord(name="a", number=1, digest=digest, manifest=digest, rows={"": 7}),
        passed_over=endings,
    )
    assert collected.facts[2:] == said
