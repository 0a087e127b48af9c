"""Every network that suits an objective answers windows with categories, by any head."""

from typing import Any

import numpy as np
import pytest
import torch

from lightning_modules.heads.entity_scale import EntityScale
from lightning_modules.heads.registry import HEADS
from lightning_modules.specs.families import SERIES_FAMILIES
from lightning_modules.specs.model import ModelSpec
from lightning_modules.specs.objectives import OBJECTIVES
from lightning_modules.specs.samples import CategoryColumn, NumberColumn, RowSample
from lightning_modules.specs.window import WindowSpec
from lightning_modules.training.build import build_learner
from lightning_modules.training.dry_run import make_samples

LOOKBACK, HORIZON = 16, 3
OWN: dict[str, Any] = {"entity_mean": (1.0, 2.0, 3.0), "entity_std": (1.0, 0.0, 2.0)}
SAMPLE: dict[str, Any] = {
    "numbers": (
        NumberColumn(name="a", mean=2.0, std=1.5, **OWN),
        NumberColumn(name="b", mean=2.0, std=0.0, **OWN),
    ),
    "categories": (
        CategoryColumn(name="shop", vocabulary=("x", "y", "z"), entity=True),
        CategoryColumn(name="offer", vocabulary=("no", "yes")),
    ),
    "time": True,
}
ASKED: dict[str, dict[str, Any]] = {
    "classes": {"classes": 3},
    "values": {},
    "reconstruction": {},
    "forecast": {"forecast": 1},
}
HEADS_ASKED: list[dict[str, Any]] = [
    {"embed": 2},
    {"normalise": "entity"},
    {"embed": 2, "normalise": "entity", "instance_norm": True, "mask": True},
]
CASES = [
    (objective, family)
    for objective in ASKED
    for family, params in SERIES_FAMILIES.items()
    if params.suits(objective, restores=OBJECTIVES.find(objective).restores)
]


def describe(objective: str) -> RowSample:
    ahead = {"horizon": HORIZON, "lead": 1, "known": ("b", "offer")}
    window = WindowSpec(lookback=LOOKBACK, **(ahead if objective == "forecast" else {}))
    return RowSample(objective=objective, window=window, **SAMPLE, **ASKED[objective])


@pytest.mark.parametrize(("objective", "family"), CASES)
def test_windows_with_categories_are_answered(objective: str, family: str) -> None:
    sample = describe(objective)
    params = {"kernel": 3} if family == "dlinear" else {}
    raw, _ = make_samples(sample)
    for head in HEADS_ASKED:
        section = {"head": {"calendar": ["day"], **head}, "network": {"family": family}}
        section["network"]["params"] = params
        model = ModelSpec.model_validate({**section, "window": sample.window})
        learner = build_learner(model, sample).eval()
        for code in (1.0, np.nan):
            raw[..., 2] = code
            for output in learner.answer_samples(raw):
                assert torch.isfinite(output.double()).all()
                assert len(output) == len(raw)


def test_an_entity_whose_numbers_are_equal_but_for_rounding_is_only_centred() -> None:
    equal = np.full(100, 0.1)
    assert equal.std() > 0
    own = {"entity_mean": (equal.mean(),), "entity_std": (equal.std(),)}
    sample = RowSample(
        objective="values",
        numbers=(NumberColumn(name="a", mean=2.0, std=1.5, **own),),
        categories=(CategoryColumn(name="shop", vocabulary=("x",), entity=True),),
        window=WindowSpec(lookback=2),
    )
    values = (torch.tensor([[[0.1], [0.25]]], dtype=torch.float64) - 2.0) / 1.5
    found, _ = EntityScale(sample)(values, torch.zeros(1, 2, 1, dtype=torch.float64))
    assert found.flatten().tolist() == pytest.approx([0.0, 0.1])


def test_a_linear_baseline_sees_the_last_categories_alone() -> None:
    sample = describe("values")
    raw, _ = make_samples(sample)
    raw[:, :-1, 2], raw[:, -1, 2] = 0.0, 2.0
    found = HEADS.find("series").flatten_features(sample, raw.numpy())
    assert found.shape == (len(raw), 2 * LOOKBACK + 3 + 2)
    assert set(map(tuple, found[:, 2 * LOOKBACK : -2].tolist())) == {(0.0, 0.0, 1.0)}
