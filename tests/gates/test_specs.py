import subprocess
import sys

import pytest
from pydantic import ValidationError

from gates.errors import SuiteError
from gates.specs import (
    AnomalyGate,
    AnomalyGates,
    ClassificationGates,
    ModelGate,
    PreparedGate,
    RegressionGate,
    RegressionGates,
    gate_for_kind,
    gates_for_kind,
)

SECTIONS = (ClassificationGates, RegressionGates, AnomalyGates)


def test_defaults_survive_json():
    for section in SECTIONS:
        spec = section()
        assert section.model_validate_json(spec.model_dump_json()) == spec


@pytest.mark.parametrize(
    ("section", "limit", "value"),
    [
        ("raw", "max_missing_fraction", 1.5),
        ("raw", "max_missing_fraction", float("nan")),
        ("raw", "min_rows", 0),
        ("raw", "min_class_balance", 0),
        ("raw", "max_class_balance", 0.5),
        ("prepared", "min_split_share", 1),
        ("model", "min_accuracy", -0.1),
        ("model", "probability_sum_tolerance", 0),
        ("artifact", "max_latency_ms_p50", float("inf")),
        ("artifact", "max_size_bytes", 0),
        ("artifact", "max_sise_bytes", 10),
    ],
)
def test_impossible_limits_are_refused_with_their_path(section, limit, value):
    with pytest.raises(ValidationError) as caught:
        ClassificationGates.model_validate({section: {limit: value}})
    assert caught.value.errors()[0]["loc"] == (section, limit)


def test_shares_that_cannot_fit_are_refused():
    with pytest.raises(ValidationError, match="lower one of them"):
        PreparedGate(min_train_share=0.9, min_split_share=0.1)


def test_limits_are_frozen():
    with pytest.raises(ValidationError, match="frozen"):
        ModelGate().min_accuracy = 0.1


def test_every_limit_is_documented():
    for gates in SECTIONS:
        for section in gates.model_fields.values():
            for field in section.annotation.model_fields.values():
                assert field.description


def test_each_kind_has_its_gates():
    assert gate_for_kind("image-classification") is ModelGate
    assert gate_for_kind("forecasting") is RegressionGate
    assert gate_for_kind("anomaly-detection") is AnomalyGate
    assert isinstance(gates_for_kind("tabular-regression")().model, RegressionGate)
    with pytest.raises(SuiteError, match="kind \\(poetry\\) must be one of"):
        gate_for_kind("poetry")


def test_importing_the_limits_is_cheap():
    code = "import sys, gates.specs; print([n for n in ('pandas', 'numpy', 'great_expectations') if n in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
