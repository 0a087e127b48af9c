"""Receipts are frozen, and their figures are found by name and split."""

import pytest
from pydantic import ValidationError

from storage.base.figures import Figure
from storage.records.receipts import ArtifactRecord
from tests.storage.records.material import make_receipt


def test_a_receipt_is_frozen():
    with pytest.raises(ValidationError, match="frozen"):
        make_receipt().status = "stopped"


def test_an_artifacts_figures_are_found_by_name_and_split():
    entry = ArtifactRecord(
        name="int8",
        file="int8.onnx",
        sha256="0" * 64,
        figures=(
            Figure(name="mae", value=6.5, unit="", direction="lower", split="validation"),
            Figure(name="agreement", value=1.0, split="validation"),
            Figure(name="size_bytes", value=10, unit="bytes", direction="lower"),
        ),
    )
    assert entry.find("size_bytes") == 10
    assert entry.find("agreement", "validation") == 1.0
    assert entry.find("agreement", "held_out") is None
    assert entry.find_score("validation").name == "mae"
    assert entry.find_score("held_out") is None
