"""What Great Expectations makes of an expectation is made once a validation, and is the same."""

import pandas as pd

from gates.engine import runner
from gates.engine.memo import keep_made, make_once
from gates.engine.suite import expect
from gates.engine.tables import Table

ExpectationConfiguration = runner.ExpectationConfiguration
FRAME = pd.DataFrame({"value": [1.0, 2.0, None, 40.0], "name": ["a", "b", "b", None]})
ASKED = (
    expect("expect_column_values_to_be_between", "rows", column="value", min_value=0, max_value=9),
    expect("expect_column_values_to_be_in_set", "rows", column="name", value_set=["a"]),
    expect("expect_column_mean_to_be_between", "rows", column="value", max_value=20),
    expect(
        "expect_column_quantile_values_to_be_between",
        "rows",
        column="value",
        quantile_ranges={"quantiles": [0.5], "value_ranges": [[None, 3]]},
    ),
    expect("expect_column_distinct_values_to_be_in_set", "rows", column="name", value_set=["b"]),
    expect(
        "expect_column_kl_divergence_to_be_less_than",
        "rows",
        column="name",
        threshold=0.1,
        partition_object={"values": ["a", "b"], "weights": [0.5, 0.5]},
    ),
    expect("expect_table_row_count_to_be_between", "rows", min_value=9),
    expect("expect_column_mean_to_be_between", "rows", column="name", max_value=20),
)


def answer():
    return runner.run_expectations(dict(enumerate(ASKED)), Table(FRAME))


def test_every_outcome_is_the_one_that_is_made_anew_at_each_look(monkeypatch):
    kept = answer()
    monkeypatch.setattr(runner, "make_once", runner._quiet_logs)
    assert kept == answer()
    assert {outcome.success for outcome in kept.values()} == {True, False}
    assert kept[len(ASKED) - 1].error


def test_an_expectation_is_made_of_its_configuration_once(monkeypatch):
    made = []
    find = ExpectationConfiguration._get_expectation_impl
    monkeypatch.setattr(
        ExpectationConfiguration,
        "_get_expectation_impl",
        lambda self: made.append(self) or find(self),
    )
    answer()
    # Ours, the copy that the vendor works on, and the one that he writes of that.
    assert len({id(configuration) for configuration in made}) == 3 * len(ASKED)


def test_nothing_is_kept_beyond_a_validation():
    configuration = ExpectationConfiguration(
        type="expect_column_max_to_be_between", kwargs={"column": "value", "max_value": 1}
    )
    with make_once():
        expectation = configuration.to_domain_obj()
        assert configuration.to_domain_obj() is expectation
        assert expectation.configuration is expectation.configuration
        assert expectation.configuration.kwargs["max_value"] == 1
    assert configuration.to_domain_obj() is not expectation
    expectation.max_value = 2
    assert expectation.configuration.kwargs["max_value"] == 2


def test_a_class_without_such_a_method_is_left_as_it_is():
    class Other:
        limit = 3

    for name in ("limit", "none"):
        keep_made(Other, name)
    assert Other.limit == 3
    assert not hasattr(Other, "none")


def test_the_vendor_still_has_what_is_kept():
    written = vars(runner.VendorExpectation)["configuration"].fget
    made = vars(ExpectationConfiguration)["to_domain_obj"]
    assert all(hasattr(method, "__wrapped__") for method in (written, made))
