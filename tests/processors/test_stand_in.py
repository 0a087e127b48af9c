"""Checks that torch sees the processor which `tests/test_processors.py` asks for."""

import os

import pytest
import torch

from storage.base.registry import load_plugins
from tests.processors import PROCESSOR, PROCESSORS

pytestmark = pytest.mark.skipif(
    PROCESSOR not in os.environ or "PYTEST_XDIST_WORKER" in os.environ,
    reason="runs where tests/test_processors.py asks for it",
)


def test_torch_sees_the_processor_that_is_simulated() -> None:
    load_plugins("lightning_modules")
    flags = PROCESSORS[os.environ[PROCESSOR]]
    amx = flags.get("cpu._is_amx_tile_supported", False)
    assert torch.cpu._is_amx_tile_supported() is amx
    assert torch.cpu._is_avx512_bf16_supported() is bool(flags)
    assert torch.get_num_threads() == int(os.environ["OMP_NUM_THREADS"])
