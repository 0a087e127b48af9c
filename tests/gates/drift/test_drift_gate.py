import numpy as np
import pytest
from pydantic import ValidationError

from gates.drift.divergence import (
    Histogram,
    find_psi_chance,
    measure_chi_square,
    measure_ks,
    measure_psi,
)
from gates.drift.drift_gate import judge_drift
from gates.specs.drift import DriftGate
from tests.gates.builders import find_failure

stats = pytest.importorskip("scipy.stats")
GATE = DriftGate()
EDGES = np.linspace(-6, 12, 181)


def histogram(values, edges=EDGES):
    counts, edges = np.histogram(values, edges)
    return Histogram(edges=tuple(edges.tolist()), counts=tuple(counts.tolist()))


def normal(seed, rows=5000, mean=0.0, deviation=1.0):
    return np.random.default_rng(seed).normal(mean, deviation, rows)


def labels(seed, rows=5000, shares=(0.25, 0.25, 0.25, 0.25)):
    counts = np.random.default_rng(seed).multinomial(rows, shares)
    return {name: int(count) for name, count in zip("abcd", counts, strict=True)}


@pytest.mark.parametrize("seed", range(20))
def test_clean_resamples_pass(seed):
    rows = (300, 5000, 50_000)[seed % 3]
    before = {"level": histogram(normal(seed, rows)), "label": labels(seed, rows)}
    after = {"level": histogram(normal(seed + 100, rows)), "label": labels(seed + 100, rows)}
    report = judge_drift(GATE, before, after)
    assert report.passed, report.reasons


@pytest.mark.parametrize(
    ("after", "about"),
    [
        (normal(1, mean=0.5), "level"),
        (normal(1) * 1.8 + 1.2, "level"),
        (np.full(5000, 0.3), "level"),
        (np.where(np.arange(5000) < 1000, 0.0, normal(1)), "level"),
    ],
)
def test_shifts_unit_changes_and_stuck_sensors_stop(after, about):
    report = judge_drift(GATE, {"level": histogram(normal(0))}, {"level": histogram(after)})
    assert not report.passed
    assert f"{about} Kolmogorov-Smirnov distance (p-value" in report.reasons[0]
    assert "limit <= 0.1" in report.reasons[0]


def test_a_vanished_class_stops_although_every_label_is_known():
    report = judge_drift(
        GATE, {"label": labels(0)}, {"label": labels(1, shares=(0.34, 0.33, 0.33, 0.0))}
    )
    assert not report.passed
    assert any("label Cramer's V" in reason for reason in report.reasons)


def test_too_few_rows_are_said_to_be_and_do_not_stop():
    report = judge_drift(
        GATE, {"level": histogram(normal(0, 100))}, {"level": histogram(normal(1, 100, mean=3))}
    )
    assert report.passed
    skipped = [check.message for check in report.checks if not check.applicable]
    assert skipped == [
        "expect_column_max_to_be_between on level Kolmogorov-Smirnov distance: not applicable, "
        "only 100 of 200 rows"
    ]


def test_a_lost_field_and_a_field_of_another_kind_stop():
    before = {"level": histogram(normal(0)), "label": labels(0)}
    assert "missing [label]" in find_failure(
        judge_drift(GATE, before, {"level": before["level"]}), "fields"
    )
    changed = judge_drift(GATE, before, {"level": labels(0), "label": before["label"]})
    assert "level kind as accepted" in changed.reasons[0]


def test_the_first_version_passes_and_says_why():
    report = judge_drift(GATE, None, {"label": labels(0)})
    assert report.passed
    assert any("no version has been accepted yet" in check.message for check in report.checks)


def test_figures_agree_with_scipy():
    left, right = normal(0, 4000), normal(1, 3000, mean=0.07)
    fine = np.unique(np.concatenate([[-10], np.sort(np.concatenate([left, right])), [10]]))
    distance, p_value = measure_ks(histogram(left, fine), histogram(right, fine))
    expected = stats.ks_2samp(left, right, method="asymp")
    assert distance == pytest.approx(expected.statistic, abs=1e-3)
    assert p_value == pytest.approx(expected.pvalue, rel=0.1)
    before, after = labels(0, 400), labels(3, 300, shares=(0.3, 0.3, 0.2, 0.2))
    table = [list(before.values()), list(after.values())]
    chi = stats.chi2_contingency(table, correction=False)
    effect, p_value = measure_chi_square(before, after)
    assert p_value == pytest.approx(chi.pvalue, rel=0.05, abs=1e-4)
    assert effect == pytest.approx(np.sqrt(chi.statistic / 700))
    assert find_psi_chance(10, 1000, 1000, 0.001) == pytest.approx(
        stats.chi2.isf(0.001, 9) / 500, rel=0.01
    )
    assert measure_psi([50, 50], [50, 50]) == 0
    assert measure_psi([50, 50], [90, 10]) == pytest.approx(0.4 * np.log(1.8) - 0.4 * np.log(0.2))


def test_a_histogram_with_torn_edges_is_refused():
    with pytest.raises(ValidationError, match="ascending edges"):
        Histogram(edges=(0, 2, 1), counts=(1, 1))
