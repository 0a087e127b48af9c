"""What is said of a baseline that wins can be written into a recipe."""

import pytest
import yaml

from lightning_modules.specs.forms import check_params
from lightning_modules.specs.model import ModelSpec
from lightning_modules.specs.samples import ImageSample, NumberColumn, RowSample, Sample
from lightning_modules.specs.shipping import describe_shipping
from lightning_modules.specs.window import WindowSpec

NUMBERS = (NumberColumn(name="a"), NumberColumn(name="b"))
WINDOW = WindowSpec(lookback=48, horizon=12, season=24)
FORECAST = RowSample(objective="forecast", numbers=NUMBERS, window=WINDOW, forecast=2)
ROWS = {
    objective: RowSample(objective=objective, numbers=NUMBERS, classes=2)
    for objective in ("classes", "values", "reconstruction")
}


def read_network(told: str) -> tuple[str, dict[str, int]]:
    document = yaml.safe_load(told.split("write ", 1)[1].split("; ")[0])["model"]
    network = ModelSpec.model_validate({**document, "head": {}}).network
    return network.family, network.params


@pytest.mark.parametrize(
    ("sample", "baseline", "family", "params"),
    [
        (ROWS["classes"], "linear", "closed_linear", {}),
        (ROWS["values"], "linear", "closed_linear", {}),
        (ROWS["reconstruction"], "distance", "distance", {}),
        (FORECAST, "linear", "closed_linear", {}),
        (FORECAST, "persistence", "seasonal_naive", {}),
        (FORECAST, "seasonal naive", "seasonal_naive", {"season": 24}),
    ],
)
def test_a_baseline_that_is_a_family_is_told_with_the_lines_to_write(
    sample: Sample, baseline: str, family: str, params: dict[str, int]
) -> None:
    told = describe_shipping(sample, baseline)
    assert read_network(told) == (family, params)
    assert check_params(sample.form, family, params) is not None


def test_a_season_longer_than_the_lookback_ships_with_the_window_that_it_needs() -> None:
    window = WINDOW.model_copy(update={"season": 168})
    told = describe_shipping(FORECAST.model_copy(update={"window": window}), "seasonal naive")
    document = yaml.safe_load(told.split("write ", 1)[1].split("; ")[0])["model"]
    assert document["network"]["params"] == {"season": 168}
    assert document["window"] == {"lookback": 168}


@pytest.mark.parametrize(
    ("sample", "baseline"),
    [
        (ImageSample(classes=2, shape=(1, 8, 8)), "nearest neighbours"),
        (ImageSample(classes=2, shape=(1, 8, 8)), "linear"),
        (ROWS["reconstruction"], "isolation forest"),
        (ROWS["classes"], "majority"),
    ],
)
def test_a_baseline_that_no_family_is_is_told_as_such(sample: Sample, baseline: str) -> None:
    told = describe_shipping(sample, baseline)
    assert told.startswith(f"no family of model.network is {baseline}")


def test_trees_are_named_where_they_can_be_asked() -> None:
    named = {name for name, sample in ROWS.items() if "trees" in describe_shipping(sample, "mean")}
    assert named == {"classes", "values"}
    assert "trees" not in describe_shipping(FORECAST, "persistence")
