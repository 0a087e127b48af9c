"""The model gate of forecasts is that of values, over every step ahead."""

from gates.model.objective import ModelGateOfObjective
from gates.model.values import judge_values
from gates.specs.model import ValuesGate

GATE = ModelGateOfObjective("forecast", ValuesGate, judge_values)
