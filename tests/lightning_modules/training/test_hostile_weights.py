"""Hostile files of weights are refused in one sentence, soon and in little memory."""

import time

import pytest

from lightning_modules.errors import CheckpointError
from lightning_modules.specs.start import StartSpec
from lightning_modules.training.start_weights import read_start
from tests.deployments.targets.hostile_records import make_tensors
from tests.peak import measure_peak

FILES = make_tensors()
HARMLESS = {"name_that_climbs.safetensors": "../../was-run", "tensor_twice.safetensors": "x"}
MOST_S, MOST_BYTES = 1.0, 20 * 2**20


@pytest.mark.parametrize("name", sorted(set(FILES) - {"honest.safetensors", *HARMLESS}))
def test_hostile_weights_are_refused(name: str) -> None:
    def read() -> None:
        with pytest.raises(CheckpointError, match="must name a safetensors file"):
            read_start(FILES[name], StartSpec(url="weights.safetensors"))

    begun = time.process_time()
    read()
    assert time.process_time() - begun <= MOST_S
    assert measure_peak(read) <= MOST_BYTES


@pytest.mark.parametrize("name", sorted(HARMLESS))
def test_a_name_is_a_name_and_no_place(name: str) -> None:
    """Tensors are found by their names in the network; no file is ever named after one."""
    start = read_start(FILES[name], StartSpec(url="weights.safetensors"))
    assert list(start.weights) == [HARMLESS[name]]
