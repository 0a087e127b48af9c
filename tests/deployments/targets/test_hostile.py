"""Hostile files are refused by name, soon and in little memory; none runs code or writes a file."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deployments.targets.trust.keys import KeyRing
from tests.deployments.targets.hostile_onnx import FILES as MODELS
from tests.deployments.targets.hostile_records import make_files
from tests.deployments.targets.material import make_onnx

MOST_S, MOST_MIB, MOST_LETTERS = 1.0, 200.0, 2000
ROOT = Path(__file__).parents[3]
Told = dict[str, dict[str, Any]]
RULES = {
    "with a flat graph": (
        "branch graphs_in_graphs graphs_in_graphs_on_the_wire loop_without_end scan"
    ),
    "got weights that lie in another file": (
        "external_data external_data_in_a_constant external_data_of_the_system"
    ),
    "got functions of its own": "functions functions_that_call_each_other",
    "that onnxruntime has itself": "operator_of_a_stranger operators_of_a_stranger_imported",
    "with one graph": "empty training_graph two_graphs",
    "arrays of at most 16777216 numbers": (
        "giant_made_by_constant_of_shape giant_made_by_expand giant_made_by_one_hot "
        "giant_made_by_random giant_made_by_range giant_made_by_range_of_tiny_steps "
        "giant_made_by_tile giant_shape_in_a_constant_node"
    ),
    "between its input and its outputs": (
        "giant_by_tiles_of_tiles giant_by_doubling giant_by_an_outer_product giant_by_a_broadcast "
        "giant_by_a_computed_shape"
    ),
    "that stretch by at most 4096": (
        "giant_made_by_convolve giant_made_by_pad giant_made_by_resize "
        "giant_scales_in_a_constant_node giant_whose_pads_are_two_lists"
    ),
    "lists of 'pads' below": "giant_whose_pads_are_spelled_at_length",
    "at most 16384 nodes": "a_hundred_thousand_nodes",
    "at most 262144 fields": "a_million_empty_fields",
    "not acyclic": "graph_that_needs_itself",
    "values of at most 2147483648": "input_of_absurd_shape",
    "values that are arrays": "input_of_texts input_that_is_a_list",
    "arrays that are given in full": "sparse_weights_of_absurd_shape",
    "arrays that are given once": "weights_given_twice",
    "as its shape [": (
        "weights_of_absurd_shape weights_of_too_few_bytes weights_whose_size_wraps_around"
    ),
    "got an array": "weights_of_complex_numbers weights_of_texts",
    "axes, none below 0": "weights_of_many_axes weights_of_negative_shape",
    "must answer finite probabilities": "weights_that_are_no_numbers",
    "fields of a known wire type": "groups_in_groups zip_with_names_that_climb",
    "fields of 32-bit tags": "tag_that_wraps_around",
    "whole numbers that end": "junk number_that_never_ends",
    "fields within their message": "length_beyond_the_file pickle truncated",
}
"""What is said of a model's file that breaks a rule -> the files that break it."""


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    """What a process of its own says of each hostile file, and of each honest one."""
    place = tmp_path_factory.mktemp("hostile")
    files = {"honest.onnx": make_onnx(1), **MODELS, **make_files(KeyRing(place / "keys"))}
    inside = place / "files"
    inside.mkdir()
    for name, data in files.items():
        (inside / name).write_bytes(data)
    # Weights for whom it has them read: only a refusal keeps them out.
    work = place / "work"
    work.mkdir()
    for folder in (place, work):
        (folder / "honest.bin").write_bytes(np.zeros((64, 10), np.float32).tobytes())
    before = sorted(place.rglob("*"))
    command = [sys.executable, "-m", "tests.deployments.targets.hostile", str(inside)]
    environment = {
        "PYTHONPATH": str(ROOT),
        "PATH": "",
        "HOME": str(tmp_path_factory.mktemp("home")),
    }
    done = subprocess.run(
        command, cwd=work, env=environment, capture_output=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    assert sorted(place.rglob("*")) == before
    found: Told = json.loads(done.stdout)
    assert set(found) == set(files)
    return found


def test_every_hostile_file_is_refused_by_name(told: Told) -> None:
    hostile = {name: found["said"] for name, found in told.items() if "honest" not in name}
    assert len(hostile) >= 40
    errors = (
        "BadArtifact: ",
        "NotCleared: ",
        "ChannelCorrupt: ",
        "KeyStoreError: ",
        "UplinkRefused: ",
    )
    assert {name: said for name, said in hostile.items() if not said.startswith(errors)} == {}
    assert {name: len(said) for name, said in hostile.items() if len(said) > MOST_LETTERS} == {}


def test_every_hostile_model_is_refused_by_the_rule_that_it_breaks(told: Told) -> None:
    rules = {f"{name}.onnx": rule for rule, names in RULES.items() for name in names.split()}
    assert set(rules) == set(MODELS)
    said = {name: told[name]["said"] for name in rules}
    assert {name: said[name] for name, rule in rules.items() if rule not in said[name]} == {}


def test_honest_files_are_accepted(told: Told) -> None:
    assert {name: found["said"] for name, found in told.items() if "honest" in name} == {
        f"honest.{kind}": "accepted" for kind in ("onnx", "card", "safetensors")
    }


def test_none_runs_code_or_writes(told: Told) -> None:
    assert {name: found["seen"] for name, found in told.items() if found["seen"]} == {}


def test_each_costs_little(told: Told) -> None:
    costs = {name: (found["took_s"], found["peak_mib"]) for name, found in told.items()}
    assert {
        name: cost for name, cost in costs.items() if cost[0] > MOST_S or cost[1] > MOST_MIB
    } == {}
