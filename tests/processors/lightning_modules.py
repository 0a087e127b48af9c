"""Stands for a processor in this process, on which every network gains by bf16."""

import os

import pytest

from lightning_modules.training import auto_precision
from tests.processors import PROCESSOR, PROCESSORS, stand_on

patch = pytest.MonkeyPatch()
stand_on(patch, PROCESSORS[os.environ[PROCESSOR]])
measure_gain = auto_precision.measure_gain
patch.setattr(auto_precision, "measure_gain", lambda *_: 2.0)
