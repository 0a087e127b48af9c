from dataclasses import replace

import numpy as np
import pytest

from gates.prepared.prepared_gate import judge_prepared
from gates.specs.prepared import PreparedGate
from tests.gates.builders import SPLITS, find_failure, make_columns, make_prepared_facts, spoil

GATE = PreparedGate()


def test_good_splits_pass():
    report = judge_prepared(GATE, make_prepared_facts())
    assert report.passed, report.reasons


def test_a_held_out_row_copied_into_train_stops():
    hashes = make_columns()["content_hash"]
    hashes[3] = hashes[950]
    report = judge_prepared(GATE, make_prepared_facts(content_hash=hashes))
    message = find_failure(report, "content hash between splits")
    assert message == (
        "expect_column_sum_to_be_between on content hash between splits: observed 2, limit <= 0; "
        "row_id 10003 and 1 more"
    )


def test_a_copy_inside_one_split_is_not_a_leak():
    hashes = make_columns()["content_hash"]
    hashes[3] = hashes[4]
    assert judge_prepared(GATE, make_prepared_facts(content_hash=hashes)).passed


def test_a_row_id_in_two_splits_stops():
    row_id = make_columns()["row_id"]
    row_id[999] = row_id[0]
    report = judge_prepared(GATE, make_prepared_facts(row_id=row_id))
    assert find_failure(report, "row_id over all splits").endswith("row_id 10000 and 1 more")


def test_a_class_absent_from_a_split_is_named():
    label = make_columns()["label"]
    label[(SPLITS == "validation") & (label == 7)] = 1
    report = judge_prepared(GATE, make_prepared_facts(label=label))
    assert find_failure(report, "rows of a class in a split") == (
        "expect_column_values_to_be_between on rows of a class in a split: observed 1 unexpected "
        "of 30, such as [0], limit >= 1; class 7 split validation; "
        "limited by gates.prepared.min_rows_per_class"
    )


def test_small_and_missing_splits_stop():
    report = judge_prepared(PreparedGate(min_held_out_rows=301), make_prepared_facts())
    assert find_failure(report, "held_out rows") == (
        "expect_column_min_to_be_between on held_out rows: observed 300, limit >= 301; limited "
        "by gates.prepared.min_held_out_rows"
    )
    report = judge_prepared(PreparedGate(min_train_share=0.7), make_prepared_facts())
    assert find_failure(report, "train share of rows").endswith(
        "observed 0.6, limit >= 0.7; limited by gates.prepared.min_train_share"
    )
    report = judge_prepared(
        GATE, make_prepared_facts(split=np.where(SPLITS == "validation", "train", SPLITS))
    )
    assert "missing [validation]" in find_failure(report, "splits")
    report = judge_prepared(
        GATE, make_prepared_facts(split=np.where(SPLITS == "validation", "valid", SPLITS))
    )
    assert "unexpected [valid], missing [validation]" in find_failure(report, "splits")


@pytest.mark.parametrize(
    ("fitted", "about"),
    [
        (((17.0,), (6.0,)), "image.mean"),
        (((float("nan"),), (6.0,)), "image.mean"),
        (((4.9,), (0.0,)), "image.std"),
        (((4.9,), (9.0,)), "image.std"),
        (((4.9, 5.0), (6.0, float("inf"))), "image.std"),
        (((4.9,), ()), "image.std"),
    ],
)
def test_statistics_out_of_range_stop(fitted, about):
    report = judge_prepared(GATE, replace(make_prepared_facts(), fitted={"image": fitted}))
    failed = [check.about for check in report.checks if not check.passed]
    assert set(failed) == {about}
    assert not report.passed


def test_statistics_out_of_range_name_the_limit():
    report = judge_prepared(
        GATE, replace(make_prepared_facts(), fitted={"image": ((4.9,), (0.0,))})
    )
    assert find_failure(report, "image.std") == (
        "expect_column_values_to_be_between on image.std: observed 1 unexpected of 1, such as "
        "[0], limit (0, 8]; channel 0"
    )


def test_rows_that_vanish_stop():
    report = judge_prepared(GATE, replace(make_prepared_facts(), rows_collected=1012))
    assert find_failure(report, "rows unaccounted for") == (
        "expect_column_sum_to_be_between on rows unaccounted for: observed 2, limit [0, 0]"
    )


def test_too_many_dropped_rows_stop():
    facts = replace(make_prepared_facts(), rows_collected=1200, rows_dropped={"unreadable": 200})
    assert find_failure(judge_prepared(GATE, facts), "rows dropped").endswith(
        "observed 200, limit [0, 120]; limited by gates.prepared.max_dropped_fraction"
    )


def test_repeats_have_a_limit_of_their_own():
    facts = replace(make_prepared_facts(), rows_collected=2000, rows_dropped={"duplicate": 1000})
    assert judge_prepared(GATE, facts).passed
    gate = PreparedGate(max_duplicate_fraction=0.4)
    message = find_failure(judge_prepared(gate, facts), "rows dropped that repeat another")
    assert message.endswith(
        "observed 1000, limit [0, 800]; limited by gates.prepared.max_duplicate_fraction"
    )


def test_contrary_labels_of_equal_rows_stop_unless_columns_are_so_coarse_that_rows_repeat():
    facts = replace(make_prepared_facts(), contrary=20, rows_dropped={"duplicate": 10})
    assert "gates.prepared.max_contrary_fraction" in find_failure(
        judge_prepared(GATE, facts), "rows equal to another one with a contrary label"
    )
    assert judge_prepared(GATE, replace(facts, contrary=10)).passed
    coarse = replace(facts, rows_collected=2000, rows_dropped={"duplicate": 1000}, contrary=900)
    assert judge_prepared(GATE, coarse).passed
    assert not judge_prepared(GATE, replace(coarse, contrary=910)).passed


def test_a_model_of_what_is_normal_needs_no_other_row_to_learn_from():
    label = make_columns()["label"]
    label[SPLITS != "held_out"] = 0
    facts = make_prepared_facts(label=label)
    assert not judge_prepared(GATE, facts).passed
    normal = replace(facts, normal_splits=("train", "validation"))
    assert judge_prepared(GATE, normal).passed, judge_prepared(GATE, normal).reasons
    label[SPLITS == "held_out"] = 0
    report = judge_prepared(
        GATE, replace(make_prepared_facts(label=label), normal_splits=("train", "validation"))
    )
    assert "split held_out" in find_failure(report, "rows of a class in a split")


def test_values_out_of_range_stop():
    facts = make_prepared_facts()
    report = judge_prepared(GATE, replace(facts, shards=spoil(facts.shards, 1, "image.max", 17)))
    assert find_failure(report, "image.max").endswith(
        "observed 17, limit [0, 16]; shard ab0; limited by data.image.value_range"
    )
