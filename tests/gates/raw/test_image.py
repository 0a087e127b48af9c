from dataclasses import replace

import numpy as np
import pytest

from gates.raw.forms import judge_raw
from gates.specs.raw import RawGate
from tests.gates.builders import ROWS, find_failure, make_columns, make_raw_facts, make_shards

GATE = RawGate()


def test_good_rows_pass():
    report = judge_raw("image", GATE, make_raw_facts())
    assert report.passed, report.reasons
    assert report.reasons == ()
    assert len(report.checks) == 17


@pytest.mark.parametrize(
    ("change", "about", "message"),
    [
        (
            {"max": 255},
            "image.max",
            "expect_column_max_to_be_between on image.max: observed 255, limit [0, 16]; shard ab1; "
            "limited by data.image.value_range",
        ),
        (
            {"min": -1},
            "image.min",
            "expect_column_min_to_be_between on image.min: observed -1, limit [0, 16]; shard ab1; "
            "limited by data.image.value_range",
        ),
        (
            {"nan": 3},
            "image.missing",
            "expect_column_sum_to_be_between on image.missing: observed 3, limit <= 0; shard ab1; "
            "limited by gates.raw.max_missing_fraction",
        ),
        (
            {"null": 1},
            "image.missing",
            "expect_column_sum_to_be_between on image.missing: observed 64, limit <= 0; shard ab1; "
            "limited by gates.raw.max_missing_fraction",
        ),
        (
            {"inf": 2},
            "image.inf",
            "expect_column_sum_to_be_between on image.inf: observed 2, limit <= 0; shard ab1; "
            "limited by gates.raw.max_infinite_fraction",
        ),
        (
            {"dtype": "float32"},
            "image.dtype",
            "expect_column_values_to_be_in_set on image.dtype: observed 1 unexpected of 4, such "
            "as [float32], limit in [uint8]; shard ab1; limited by data.image.dtype",
        ),
        (
            {"shape": (3, 8, 8)},
            "image.shape",
            "expect_column_values_to_be_in_set on image.shape: observed 1 unexpected of 4, such "
            "as [(3, 8, 8)], limit in [(1, 8, 8)]; shard ab1; limited by data.image.shape",
        ),
    ],
)
def test_a_spoiled_shard_is_named(change, about, message):
    report = judge_raw("image", GATE, replace(make_raw_facts(), shards=make_shards(**change)))
    assert find_failure(report, about) == message


def test_a_shard_without_a_finite_value_stops():
    report = judge_raw(
        "image", GATE, replace(make_raw_facts(), shards=make_shards(min=None, max=None))
    )
    failed = [check.message for check in report.checks if not check.passed]
    assert (
        "expect_column_values_to_not_be_null on image.max: observed 1 missing of 4, limit none "
        "missing; shard ab1" in failed
    )


def test_a_label_outside_the_set_names_its_row():
    label = make_columns()["label"]
    label[17] = 11
    report = judge_raw("image", GATE, make_raw_facts(label=label))
    assert find_failure(report, "label") == (
        "expect_column_values_to_be_in_set on label: observed 1 unexpected of 1000, such as [11], "
        "limit in [0, 1, 2, 3, 4, 5, 6, 7, and 2 more]; shard ab row 17 row_id 10017; "
        "limited by data.labels"
    )


def test_a_missing_label_names_its_row():
    valid = np.ones(ROWS, dtype=bool)
    valid[5] = False
    report = judge_raw("image", GATE, make_raw_facts(label_valid=valid))
    assert find_failure(report, "label") == (
        "expect_column_values_to_not_be_null on label: observed 1 missing of 1000, limit none "
        "missing; shard ab row 5 row_id 10005; limited by gates.raw.max_missing_fraction"
    )
    allowed = RawGate(max_missing_fraction=0.002)
    assert judge_raw("image", allowed, make_raw_facts(label_valid=valid)).passed


def test_a_class_without_rows_stops():
    label = make_columns()["label"]
    label[label == 9] = 0
    report = judge_raw("image", GATE, make_raw_facts(label=label))
    assert find_failure(report, "classes") == (
        "expect_column_distinct_values_to_contain_set on classes: observed unexpected [], missing "
        "[9], limit in [0, 1, 2, 3, 4, 5, 6, 7, and 2 more]; limited by data.labels"
    )
    assert find_failure(report, "class share").endswith(
        "such as [0], limit [0.02, 0.5]; class 9; "
        "limited by gates.raw.min_class_balance, max_class_balance"
    )


def test_a_dominant_class_stops():
    label = make_columns()["label"]
    label[:600] = 3
    report = judge_raw("image", GATE, make_raw_facts(label=label))
    assert "such as [0.64], limit [0.02, 0.5]; class 3" in find_failure(report, "class share")


def test_duplicates_within_a_split_stop_but_not_between_splits():
    hashes = make_columns()["content_hash"]
    hashes[900:] = hashes[:100]
    report = judge_raw("image", GATE, make_raw_facts(content_hash=hashes))
    assert find_failure(report, "duplicate fraction") == (
        "expect_column_mean_to_be_between on duplicate fraction: observed 0.1, limit [0, 0.05]; "
        "row_id 10900 and 19 more; limited by gates.raw.max_duplicate_fraction"
    )
    split = np.repeat(["train", "held_out"], [900, 100])
    assert judge_raw("image", GATE, make_raw_facts(content_hash=hashes, split=split)).passed


def test_too_few_rows_stop():
    report = judge_raw("image", RawGate(min_rows=1001), make_raw_facts())
    assert find_failure(report, "row count") == (
        "expect_table_row_count_to_be_between on row count: observed 1000, limit >= 1001; "
        "limited by gates.raw.min_rows"
    )


def test_no_rows_at_all_stop():
    report = judge_raw(
        "image",
        GATE,
        make_raw_facts(**{name: values[:0] for name, values in make_columns().items()}),
    )
    assert not report.passed
    assert all(
        not check.passed
        for check in report.checks
        if check.about in ("label", "row count", "class share")
    )


def test_a_field_that_no_shard_has_stops():
    shards = make_shards()
    frame = shards.frame.drop(columns=[name for name in shards.frame if name.startswith("image.")])
    report = judge_raw(
        "image", GATE, replace(make_raw_facts(), shards=replace(shards, frame=frame))
    )
    assert 'The column "image.dtype" in BatchData does not exist' in " ".join(report.reasons)
