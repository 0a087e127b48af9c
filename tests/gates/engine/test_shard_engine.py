"""The engine over shards answers what Great Expectations answers on the concatenated table."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gates.engine import runner  # isort: skip - it silences the vendor's import
from great_expectations.expectations.row_conditions import Column

from gates.catalogue.entries import list_entries
from gates.catalogue.examples import EXAMPLES
from gates.engine.judge import run_suite
from gates.engine.shard_engine import ShardEngine
from gates.engine.sharded_table import ColumnStatistics, Shard, ShardedTable, make_shard
from gates.engine.suite import Suite, expect

FORMATS = {
    "complete": {"result_format": "COMPLETE"},
    "few": {
        "result_format": "SUMMARY",
        "partial_unexpected_count": 2,
        "include_unexpected_rows": True,
    },
    "index": {"result_format": "COMPLETE", "unexpected_index_column_names": ["count"]},
}
REFUSED = {entry.rule for entry in list_entries() if entry.kind == "refused"}
RULES = {rule: kwargs for rule, kwargs in EXAMPLES.items() if rule not in REFUSED}
DATE_RULES = [
    ("expect_column_max_to_be_between", {"max_value": "2026-01-03"}),
    ("expect_column_min_to_be_between", {"min_value": "2026-01-02"}),
    ("expect_column_values_to_be_between", {"min_value": "2026-01-02", "max_value": "2026-01-03"}),
    ("expect_column_values_to_be_unique", {}),
    ("expect_column_values_to_not_be_null", {}),
    ("expect_column_values_to_be_increasing", {}),
    ("expect_column_distinct_values_to_be_in_set", {"value_set": ["2026-01-02"]}),
]
CONDITION = {"row_condition": Column("count") > 1}


def validate(engine, rules, result_format):
    configurations = [
        runner.ExpectationConfiguration(type=rule, kwargs=dict(kwargs), meta={"at": at})
        for at, (rule, kwargs) in enumerate(rules)
    ]
    validator = runner._QuietValidator(execution_engine=engine)
    with runner._quiet_logs():
        results = validator.graph_validate(
            configurations=configurations, runtime_configuration={"result_format": result_format}
        )
    return {result.expectation_config.meta["at"]: result for result in results}


def validate_whole(frame, rules, result_format):
    engine = runner.PandasExecutionEngine()
    engine.load_batch_data("frame", frame)
    return validate(engine, rules, result_format)


def alike(left, right):
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(alike(left[key], right[key]) for key in left)
    if isinstance(left, list | tuple) and isinstance(right, list | tuple):
        return len(left) == len(right) and all(map(alike, left, right))
    if isinstance(left, set) and isinstance(right, set):
        return alike(sorted(left, key=str), sorted(right, key=str))
    if isinstance(left, pd.DataFrame):
        return left.equals(right) and list(left.index) == list(right.index)
    if isinstance(left, pd.Series):
        return left.equals(right)
    if left is None or right is None or pd.isna(left) or pd.isna(right):
        return left is right or (
            left is not None and right is not None and bool(pd.isna(left)) == bool(pd.isna(right))
        )
    if isinstance(left, float) and isinstance(right, float):
        return left == right or math.isclose(left, right, rel_tol=1e-9, abs_tol=1e-9)
    return type(left) is type(right) and left == right


def compare(frames, rules, result_format):
    whole = pd.concat(frames, ignore_index=True)
    shards = [make_shard(str(at), frame.reset_index(drop=True)) for at, frame in enumerate(frames)]
    expected = validate_whole(whole, rules, result_format)
    got = validate(ShardEngine(shards), rules, result_format)
    assert expected.keys() == got.keys()
    for at, (rule, kwargs) in enumerate(rules):
        left, right = expected[at], got[at]
        context = (rule, kwargs, left.to_json_dict(), right.to_json_dict())
        assert left.success == right.success, context
        assert bool(runner._read_exception(left.exception_info)) == bool(
            runner._read_exception(right.exception_info)
        ), context
        assert alike(left.result, right.result), context


numbers = st.one_of(
    st.none(),
    st.sampled_from([0.0, 1.0, 2.0, 3.0, -1.5]),
    st.floats(width=32, allow_infinity=False),
)
texts = st.one_of(
    st.none(), st.just(math.nan), st.sampled_from(["a", "b", "c", "", "nan", "3", "2026", "é漢"])
)
dates = st.one_of(
    st.none(),
    st.sampled_from([pd.Timestamp("2026-01-01") + pd.Timedelta(days=day) for day in range(5)]),
)
rows = st.lists(st.tuples(numbers, st.integers(-3, 5), texts, dates), max_size=12)


@st.composite
def shard_lists(draw):
    frames = []
    for records in draw(st.lists(rows, min_size=1, max_size=4)):
        frame = pd.DataFrame(records, columns=["number", "count", "text", "date"])
        frame["number"] = frame["number"].astype("float64")
        frame["count"] = frame["count"].astype("int64")
        frame["date"] = pd.to_datetime(frame["date"]).astype("datetime64[us]")
        if draw(st.booleans()):
            frame["text"] = frame["text"].astype(object)
        frames.append(frame)
    return frames


def takes_condition(rule):
    return not rule.startswith(
        ("expect_table_column", "expect_column_to_exist", "expect_column_type_to_be")
    )


some_rules = st.lists(st.sampled_from(sorted(RULES)), min_size=3, max_size=6, unique=True)
quick = settings(max_examples=5, deadline=None, suppress_health_check=list(HealthCheck))


@quick
@given(frames=shard_lists(), form=st.sampled_from(sorted(FORMATS)), rules=some_rules)
def test_every_stock_rule_answers_as_on_the_whole_table(frames, form, rules):
    compare(frames, [(rule, RULES[rule]) for rule in rules], FORMATS[form])


@quick
@given(frames=shard_lists(), some=some_rules)
def test_rules_on_dates_and_text_answer_as_on_the_whole_table(frames, some):
    rules = [(rule, {"column": "date", **limits}) for rule, limits in DATE_RULES]
    rules += [(rule, {**RULES[rule], "column": "text"}) for rule in some if "column" in RULES[rule]]
    compare(frames, rules, FORMATS["complete"])


@quick
@given(frames=shard_lists(), some=some_rules)
def test_conditions_on_rows_answer_as_on_the_whole_table(frames, some):
    rules = [(rule, {**RULES[rule], **CONDITION}) for rule in some if takes_condition(rule)]
    compare(frames, rules, FORMATS["complete"])


def test_ints_and_floats_in_different_shards_answer_as_on_the_whole_table():
    frames = [
        pd.DataFrame({"number": [1, 2], "count": [1, 2], "text": ["a", "b"]}),
        pd.DataFrame({"number": [2.5, np.nan], "count": [3, 3], "text": [None, None]}),
        pd.DataFrame({"number": [], "count": [], "text": []}),
    ]
    compare(frames, list(RULES.items()), FORMATS["complete"])


def test_rules_that_do_not_merge_are_refused_by_name():
    frame = pd.DataFrame({"number": [1.0, 2.0]})
    table = ShardedTable((make_shard("a", frame), make_shard("b", frame)))
    report = run_suite(
        Suite(
            stage="raw",
            expectations=(
                expect(
                    "expect_table_row_count_to_equal_other_table", "rows", other_table_name="other"
                ),
                expect(
                    "expect_column_values_to_match_like_pattern",
                    "rows",
                    column="number",
                    like_pattern="a%",
                ),
            ),
        ),
        {"rows": table},
    )
    assert not any(check.passed for check in report.checks)
    assert "table (other) must be the one that is judged" in report.reasons[0]


def count_reads(frame, statistics):
    reads = []

    def load(columns):
        reads.append(columns)
        return frame

    return Shard("ab12", len(frame), frame.iloc[:0], load, statistics), reads


def test_statistics_spare_the_reading_and_agree_with_it():
    frame = pd.DataFrame({"value": [1.0, 2.0, np.nan, 5.0]})
    values = frame["value"].dropna()
    statistics = ColumnStatistics(
        missing=1,
        min=1.0,
        max=5.0,
        mean=values.mean(),
        total=values.sum(),
        m2=float(((values - values.mean()) ** 2).sum()),
    )
    suite = Suite(
        stage="raw",
        expectations=(
            expect("expect_column_max_to_be_between", "rows", column="value", max_value=5),
            expect("expect_column_min_to_be_between", "rows", column="value", min_value=0),
            expect("expect_column_mean_to_be_between", "rows", column="value", max_value=3),
            expect("expect_column_stdev_to_be_between", "rows", column="value", max_value=3),
            expect("expect_column_sum_to_be_between", "rows", column="value", max_value=16),
            expect(
                "expect_column_values_to_be_between",
                "rows",
                column="value",
                min_value=1,
                max_value=5,
            ),
            expect("expect_table_row_count_to_be_between", "rows", min_value=1),
        ),
    )
    known, reads = count_reads(frame, {"value": statistics})
    unknown, other_reads = count_reads(frame, {})
    assert run_suite(suite, {"rows": ShardedTable((known, known))}) == run_suite(
        suite, {"rows": ShardedTable((unknown, unknown))}
    )
    assert reads == []
    assert other_reads != []


def test_known_values_spare_the_reading_and_agree_with_it():
    frame = pd.DataFrame({"value": [3, 1, 1, 2]})
    statistics = ColumnStatistics(missing=0, min=1, max=3, distinct=(1, 2, 3))
    good = Suite(
        stage="raw",
        expectations=(
            expect(
                "expect_column_values_to_be_in_set", "rows", column="value", value_set=[1, 2, 3, 4]
            ),
            expect(
                "expect_column_distinct_values_to_contain_set",
                "rows",
                column="value",
                value_set=[1, 3],
            ),
            expect(
                "expect_column_distinct_values_to_be_in_set",
                "rows",
                column="value",
                value_set=[1, 2],
            ),
        ),
    )
    bad = Suite(
        stage="raw",
        expectations=(
            expect("expect_column_values_to_be_in_set", "rows", column="value", value_set=[1, 2]),
        ),
    )
    for suite, spared in ((good, True), (bad, False)):
        known, reads = count_reads(frame, {"value": statistics})
        unknown, _ = count_reads(frame, {})
        found = run_suite(suite, {"rows": ShardedTable((known, known))})
        assert found == run_suite(suite, {"rows": ShardedTable((unknown, unknown))})
        assert (reads == []) == spared


def test_unexpected_rows_name_their_shard_and_only_bad_shards_are_read():
    good = pd.DataFrame({"row_id": [1, 2], "value": [1.0, 2.0], "wide": [0, 0]})
    bad = pd.DataFrame({"row_id": [3, 4], "value": [2.0, 9.0], "wide": [0, 0]})
    first, first_reads = count_reads(good, {"value": ColumnStatistics(missing=0, min=1.0, max=2.0)})
    second, second_reads = count_reads(
        bad, {"value": ColumnStatistics(missing=0, min=2.0, max=9.0)}
    )
    suite = Suite(
        stage="raw",
        expectations=(
            expect("expect_column_values_to_be_between", "rows", column="value", max_value=4),
        ),
    )
    report = run_suite(suite, {"rows": ShardedTable((first, second), identity=("row_id",))})
    assert report.checks[0].rows == ("shard ab12 row 1 row_id 4",)
    assert first_reads == []
    assert ("value",) in second_reads


def test_a_shard_with_other_rows_than_stated_never_passes():
    frame = pd.DataFrame({"value": [1.0, 2.0]})
    torn = Shard("ab12", 3, frame.iloc[:0], lambda columns: frame)
    suite = Suite(
        stage="raw",
        expectations=(
            expect("expect_column_values_to_be_between", "rows", column="value", max_value=4),
        ),
    )
    report = run_suite(suite, {"rows": ShardedTable((torn, torn))})
    assert "shard ab12 must have 3 rows; got 2" in report.reasons[0]


def test_columns_too_large_to_gather_are_refused():
    frame = pd.DataFrame({"value": np.arange(1000.0)})
    engine = ShardEngine(
        [make_shard("a", frame), make_shard("b", frame)], gather_limit_bytes=10_000
    )
    rules = [("expect_column_median_to_be_between", {"column": "value", "min_value": 0})]
    result = validate(engine, rules, FORMATS["few"])[0]
    assert not result.success
    assert "must be at most 10000 bytes" in runner._read_exception(result.exception_info)


def test_shards_may_be_answered_elsewhere():
    import pickle

    frame = pd.DataFrame({"value": [1.0, 2.0]})
    calls = []

    def map_elsewhere(task, placed):
        for shard in placed:
            calls.append(shard.shard.name)
            work = pickle.loads(pickle.dumps((task, shard.offset)))
            yield work[0](shard)

    engine = ShardEngine([make_shard("a", frame), make_shard("b", frame)], map_shards=map_elsewhere)
    rules = [
        (
            "expect_column_value_z_scores_to_be_less_than",
            {"column": "value", "threshold": 1, "double_sided": True},
        )
    ]
    result = validate(engine, rules, FORMATS["few"])[0]
    assert result.success, result
    assert set(calls) == {"a", "b"}


@pytest.mark.slow
@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(frames=shard_lists(), form=st.sampled_from(sorted(FORMATS)))
def test_every_stock_rule_answers_as_on_the_whole_table_at_length(frames, form):
    compare(frames, list(RULES.items()), FORMATS[form])
