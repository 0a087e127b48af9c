import numpy as np
import pytest

from storage.base.store import Store
from storage.datasets.dataset import Dataset
from storage.forms.columns import NUMBERS, SERIES_ID, TARGET
from storage.pipeline.derived import PREFIX, derive_columns, measure_derived
from storage.shards.writing import write_shard
from storage.upkeep.edits import delete_rows, replace_rows


def make_images(count=600, channels=3, dtype=np.uint8):
    return np.random.default_rng(0).integers(0, 256, (count, channels, 8, 8)).astype(dtype)


def make_series(values, entity=None):
    numbers = np.asarray(values, np.float64).reshape(-1, 1)
    entities = np.zeros(len(numbers), np.int64) if entity is None else entity
    return {NUMBERS: numbers, NUMBERS + "__valid": np.isfinite(numbers), SERIES_ID: entities}


def test_images_are_measured_row_by_row():
    images = make_images()
    found = derive_columns({"image": images}, {})
    assert found["brightness"] == pytest.approx(images.mean(axis=(1, 2, 3)), rel=1e-5)
    assert found["contrast"] == pytest.approx(images.std(axis=(1, 2, 3)), rel=1e-5)
    assert found["channel.1"] == pytest.approx(images[:, 1].mean(axis=(1, 2)), rel=1e-5)
    black = derive_columns({"image": images * 0}, {})
    assert not any(
        black[name].any() for name in ("brightness", "contrast", "sharpness", "saturation")
    )
    blurred = (images + np.roll(images, 1, axis=3).astype(np.float32)) / 2
    assert (
        derive_columns({"image": blurred}, {})["sharpness"].mean() < 0.8 * found["sharpness"].mean()
    )
    grey = np.repeat(images[:, :1], 3, axis=1)
    assert not derive_columns({"image": grey}, {})["saturation"].any()


def test_values_that_are_not_numbers_are_counted_and_do_not_spread():
    images = make_images(channels=1, dtype=np.float32)
    images[3, 0, :4] = np.nan
    found = derive_columns({"image": images}, {})
    assert found["nan"][3] == pytest.approx(0.5)
    assert all(np.isfinite(values).all() for values in found.values())


def test_a_stuck_sensor_a_step_a_spike_and_noise_are_seen():
    wave = np.sin(np.arange(256) / 10)
    names = {NUMBERS: ("level",)}
    clean = derive_columns(make_series(wave), names)
    assert clean["level.flat"].max() == 0
    stuck = derive_columns(make_series(np.where(np.arange(256) >= 200, 0.3, wave)), names)
    assert stuck["level.flat"].max() == 32
    spiked = wave.copy()
    spiked[100] += 5
    assert derive_columns(make_series(spiked), names)["level.spike"][1:-1].argmax() == 99
    noisy = wave + np.random.default_rng(0).normal(0, 1, 256)
    assert np.nanmean(derive_columns(make_series(noisy), names)["level.energy"]) > 5 * np.nanmean(
        clean["level.energy"]
    )


def test_the_target_is_measured_like_any_column():
    wave = np.sin(np.arange(256) / 10)
    rows = make_series(wave)
    rows[TARGET], rows[TARGET + "__valid"] = (
        np.where(np.arange(256) >= 200, 0.3, wave),
        np.ones(256, np.bool_),
    )
    found = derive_columns(rows, {NUMBERS: ("level",)})
    assert found["target.flat"].max() == 32
    assert found["target.step"][1:200] == pytest.approx(found["level.step"][1:200])
    same_name = derive_columns(rows, {NUMBERS: ("target",)})
    assert same_name["target.flat"].max() == 0


def test_nothing_is_measured_across_entities_or_missing_values():
    entity = np.repeat([1, 2], 5)
    found = derive_columns(make_series([1.0] * 10, entity), {NUMBERS: ("level",)})
    assert found["level.flat"].tolist() == [0, 1, 2, 3, 4] * 2
    assert np.isnan(found["level.step"][[0, 5]]).all()
    lost = derive_columns(make_series([1, np.nan, np.nan, 1, 1]), {NUMBERS: ("level",)})
    assert lost["level.flat"].tolist() == [0, 0, 0, 0, 1]


def test_texts_of_a_wrong_encoding_are_odd():
    names = np.array(["Zürich", "Genève"], dtype=np.dtypes.StringDType())
    wrong = np.array(
        [text.encode().decode("latin-1") for text in names.tolist()], dtype=np.dtypes.StringDType()
    )
    assert not derive_columns({"city": names}, {})["city.odd"].any()
    assert derive_columns({"city": wrong}, {})["city.odd"].all()


def test_statistics_are_kept_under_a_name_that_no_field_can_have():
    found = measure_derived({"image": make_images()}, {})
    assert found["derived:brightness"].count == 600
    assert measure_derived({"image": make_images()[:0]}, {}) == {}


def test_a_rewritten_shard_has_the_figures_of_the_rows_that_it_holds_now(tmp_path):
    dataset = Dataset(Store(tmp_path), "eyes-raw")
    rows = {"image": make_images(40), "row_id": np.arange(40, dtype=np.uint64)}
    rows["image"][7] = 0
    first = write_shard(dataset.shards, rows, statistics=measure_derived(rows, {}))
    raw = dataset.commit([first], kind="raw", parent=None)
    assert raw.statistics()[PREFIX + "brightness"].min == 0
    cleaned = delete_rows(dataset, [7])
    kept = {name: np.delete(values, 7, axis=0) for name, values in rows.items()}
    found = {
        name: figures for name, figures in cleaned.statistics().items() if name.startswith(PREFIX)
    }
    assert found == measure_derived(kept, {})
    assert found[PREFIX + "brightness"].min > 0
    black = replace_rows(dataset, {"image": rows["image"][:1] * 0, "row_id": rows["row_id"][:1]})
    assert black.statistics()[PREFIX + "brightness"].min == 0
    plain = dataset.replace([write_shard(dataset.shards, rows)], kind="prepared")
    assert delete_rows(plain.dataset, [7]).statistics().keys() == {"image", "row_id"}
