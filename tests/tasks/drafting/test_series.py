"""Series that nobody has described: time, entity, step, season, windows."""

import datetime as dt

import numpy as np
import pytest

from flows.drafting import draft_recipe
from flows.recipe.load import load_recipe
from tasks.drafting import series_told
from tasks.drafting.guesses import DraftError
from tasks.drafting.looking import look_and_draft
from tasks.drafting.time_formats import find_time_format
from tests.conftest import SHARED_DATA
from tests.tasks.drafting.sets import write_sales, write_table

MOMENTS = [dt.datetime(2023, 1, 3, 6) + dt.timedelta(hours=31 * n) for n in range(60)]
STYLES = [
    "%d/%m/%Y %H:%M",
    "%m/%d/%Y %H:%M",
    "%d.%m.%Y %H:%M:%S",
    "%d-%b-%Y %H:%M",
    "%Y/%m/%d %H:%M",
    "%m/%d/%y %I:%M %p",
]


@pytest.mark.parametrize("style", STYLES)
def test_the_format_of_a_time_is_found(style):
    found = find_time_format([m.strftime(style) for m in MOMENTS], np.arange(60), named=False)
    assert found is not None
    assert found[0] == style
    seconds = [(m - dt.datetime(1970, 1, 1)).total_seconds() for m in MOMENTS]
    assert found[1].tolist() == [int(second * 1e9) for second in seconds]


def test_days_and_months_are_told_apart_by_their_order():
    days = [dt.date(2023, 1, 1) + dt.timedelta(days=n) for n in range(300)]
    short = [day for day in days if day.day <= 12]
    for style in ("%d/%m/%Y", "%m/%d/%Y"):
        texts = [day.strftime(style) for day in short]
        found = find_time_format(texts, np.arange(len(texts)), named=True)
        assert found is not None
        assert found[0] == style


def test_shops_are_entities_and_a_week_is_their_season(tmp_path):
    draft = look_and_draft(str(write_sales(tmp_path / "sales.csv")))
    data, window = draft.document["data"], draft.document["model"]["window"]
    assert draft.kind == "forecasting"
    assert (data["time"], data["time_format"], data["entity"]) == ("Datum", "%d.%m.%Y", "Filiale")
    assert window["season"] == 7
    assert "Aktion" not in window.get("targets", ["Umsatz"])
    unknown = [guess for guess in draft.guesses if guess.confidence == "unknown"]
    assert {guess.what for guess in unknown} == {"model.window"}, "targets and horizon are asked"


def test_a_target_alone_is_forecast(tmp_path):
    draft = look_and_draft(str(write_sales(tmp_path / "sales.csv")), "Umsatz")
    data, window = draft.document["data"], draft.document["model"]["window"]
    assert data["numbers"][0] == "Umsatz"
    assert window.get("targets", data["numbers"]) == ["Umsatz"]


def test_a_short_series_gets_windows_that_fit(tmp_path):
    steps = np.arange(144)
    values = 100 + steps + 20 * np.sin(2 * np.pi * steps / 12)
    months = [f"{1949 + n // 12}-{n % 12 + 1:02d}-01" for n in steps]
    rows = [[m, f"{v:.1f}"] for m, v in zip(months, values, strict=True)]
    draft = look_and_draft(str(write_table(tmp_path / "air.csv", ["Month", "Passengers"], rows)))
    window = draft.document["model"]["window"]
    held_out = draft.document["data"]["split"]["held_out"] * 144
    assert window["season"] == 12
    assert window["lookback"] + window["horizon"] < held_out


def test_a_forecast_without_even_steps_is_refused(tmp_path):
    moments = [dt.datetime(2023, 1, 1) + dt.timedelta(minutes=n * n * 7 % 9973) for n in range(99)]
    rows = [[f"{m:%F %T}", f"{n}.25"] for n, m in enumerate(moments)]
    path = write_table(tmp_path / "n.csv", ["a", "b"], rows)
    with pytest.raises(DraftError, match="a column of the time"):
        look_and_draft(str(path), None, "forecasting")


@pytest.mark.slow
def test_traffic_is_held_out_where_its_test_file_begins():
    path = SHARED_DATA / "traffic-pems-single"
    if not path.is_dir():
        pytest.skip("traffic-pems-single is not on this machine")
    draft = look_and_draft(str(path))
    data = draft.document["data"]
    assert data["numbers"] == ["Lane 1 Flow (Veh/5 Minutes)"]
    assert data["time_format"] == "%d/%m/%Y %H:%M"
    assert data["split"]["held_out_from"].startswith("2016-03-04")


@pytest.mark.slow
def test_hours_of_a_transformer_have_a_day_for_a_season():
    path = SHARED_DATA / "ett"
    if not path.is_dir():
        pytest.skip("ett is not on this machine")
    draft = look_and_draft(str(path), "OT")
    window = draft.document["model"]["window"]
    assert (window["season"], window["horizon"]) == (24, 24)


def write_shops(path):
    """Sales a day of shops of unlike size; the plan of a day says what becomes of the next one."""
    draw, lines = np.random.default_rng(4), []
    for shop in range(6):
        level, plan = 5 * 1.5**shop, "plain"
        for day in range(300):
            week = 1 + 0.4 * np.sin(2 * np.pi * day / 7)
            sold = level * week * (1.4 if plan == "offer" else 1.0) * draw.normal(1, 0.03)
            plan = str(draw.choice(["plain", "offer"]))
            sky = str(draw.choice(["sun", "rain", "fog"]))
            moment = dt.date(2022, 1, 1) + dt.timedelta(days=day)
            lines.append([f"{moment}", f"shop {shop}", plan, sky, f"{sold:.3f}"])
    return write_table(path, ["day", "shop", "plan", "sky", "sold"], lines)


def test_shops_of_unlike_size_get_their_own_scale_and_a_text_that_tells_stays(tmp_path):
    path = write_shops(tmp_path / "shops.csv")
    drafted = draft_recipe(str(path), "sold")
    data, model = drafted.draft.document["data"], drafted.draft.document["model"]
    assert data["texts"] == ["shop", "plan"]
    assert model["head"]["normalise"] == "entity"
    assert "embed" not in model["head"]  # Six names are few.
    told = {guess.what: guess for guess in drafted.draft.guesses if "falls from" in guess.why}
    assert told.keys() == {"data.texts", "model.head.normalise"}
    left = [guess for guess in drafted.draft.guesses if guess.value == "without sky"]
    assert [guess.what for guess in left] == ["data.texts"]
    recipe = tmp_path / "shops.yaml"
    recipe.write_text(drafted.text)
    assert load_recipe(str(recipe)).data.texts == ("shop", "plan")


def test_alike_shops_are_told_nothing_more_and_one_series_is_asked_nothing(tmp_path, monkeypatch):
    draft = look_and_draft(str(write_sales(tmp_path / "sales.csv")), "Umsatz")
    assert "texts" not in draft.document["data"]
    assert "normalise" not in draft.document["model"].get("head", {})
    monkeypatch.setattr(series_told, "Asked", lambda *given: pytest.fail("it was asked"))
    steps = np.arange(300)
    values = np.sin(2 * np.pi * steps / 24) + 0.1 * np.cos(steps)
    moments = [dt.datetime(2023, 1, 1) + dt.timedelta(hours=int(step)) for step in steps]
    rows = [[f"{m:%F %T}", f"{value:.4f}"] for m, value in zip(moments, values, strict=True)]
    draft = look_and_draft(str(write_table(tmp_path / "one.csv", ["t", "load"], rows)))
    assert draft.kind == "forecasting"
