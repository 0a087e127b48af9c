import subprocess
import sys

import pytest
from pydantic import ValidationError

from gates.model.objectives import OBJECTIVES, gates_for_objective
from gates.specs.model import ClassesGate, ReconstructionGate, ValuesGate
from gates.specs.prepared import PreparedGate
from storage.base.registry import UnknownName

SECTIONS = tuple(gates_for_objective(objective) for objective in OBJECTIVES)
ClassesGates = gates_for_objective("classes")


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
        ClassesGates.model_validate({section: {limit: value}})
    assert caught.value.errors()[0]["loc"] == (section, limit)


def test_shares_that_cannot_fit_are_refused():
    with pytest.raises(ValidationError, match="lower one of them"):
        PreparedGate(min_train_share=0.9, min_split_share=0.1)


def test_limits_are_frozen():
    with pytest.raises(ValidationError, match="frozen"):
        ClassesGate().min_accuracy = 0.1


def list_models(model):
    """The models of a JSON schema's definitions, and the model itself."""
    schema = model.model_json_schema()
    return {model.__name__: schema, **schema.get("$defs", {})}


def test_every_limit_is_documented():
    for section in SECTIONS:
        for name, schema in list_models(section).items():
            for field, told in schema.get("properties", {}).items():
                assert told.get("description"), f"{section.__name__}: {name}.{field}"


def test_each_objective_has_its_gates():
    limits = {name: type(gates_for_objective(name)().model) for name in OBJECTIVES}
    assert limits == {
        "classes": ClassesGate,
        "values": ValuesGate,
        "forecast": ValuesGate,
        "reconstruction": ReconstructionGate,
    }
    with pytest.raises(UnknownName, match="objective \\(poetry\\) must be one of"):
        gates_for_objective("poetry")


def test_importing_the_limits_is_cheap():
    heavy = "('pandas', 'numpy', 'scipy', 'great_expectations')"
    code = f"import sys, gates.model.objectives; print([n for n in {heavy} if n in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
