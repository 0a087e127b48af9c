"""Heads and filters of rows, held against other ways to compute them."""

import numpy as np
import pytest
import torch

from lightning_modules.errors import SpecError
from lightning_modules.heads.columns import RowHead
from lightning_modules.heads.image import fit_image_head
from lightning_modules.heads.instance_norm import InstanceNormalised
from lightning_modules.heads.time_filters import Denoiser
from lightning_modules.specs.model import DenoiseSpec, HeadSpec
from lightning_modules.specs.samples import CategoryColumn, NumberColumn, RowSample
from lightning_modules.specs.window import WindowSpec
from storage.shards.statistics import compute_statistics, merge_statistics

NUMBERS = (NumberColumn(name="a", mean=1e9, std=2.0), NumberColumn(name="b", mean=-1.0, std=0.0))
GRADE = CategoryColumn(name="grade", vocabulary=("H", "L", "M"))
ROW = RowSample(objective="classes", numbers=NUMBERS, categories=(GRADE,), classes=2)
WINDOW = WindowSpec(lookback=6, horizon=4, season=3)
FORECAST = RowSample(
    objective="forecast",
    numbers=(NumberColumn(name="a", mean=5.0, std=2.0),),
    window=WINDOW,
    forecast=1,
)


def test_head_normalises_fills_in_and_tells_what_is_missing() -> None:
    raw = torch.tensor([[1e9 + 1.0, 3.0, 1.0], [np.nan, -1.0, np.nan]], dtype=torch.float64)
    features = RowHead(ROW, HeadSpec())(raw)
    assert features.dtype == torch.float32
    # a, b, their masks, then the grade as one-hot: nothing where it is missing or unknown.
    assert features.tolist() == [[0.5, 4.0, 0, 0, 0, 1, 0], [0.0, 0.0, 1, 0, 0, 0, 0]]
    assert RowHead(ROW, HeadSpec(embed=5))(raw).shape == (2, 2 + 2 + 5)


def test_a_column_whose_mean_is_only_rounded_does_not_vary() -> None:
    """The same number many times over has a deviation by float64's rounding, and no scale."""
    parts = np.array_split(np.full(1_003, 293.15), 7)
    found = merge_statistics(compute_statistics(part) for part in parts)
    assert found.mean is not None
    assert found.std is not None
    assert found.std > 0
    rounded = NumberColumn(name="a", mean=found.mean, std=found.std)
    real = NumberColumn(name="b", mean=1.7e9, std=1.0)  # a second among dates
    sample = RowSample(
        objective="values",
        numbers=(rounded, real),
        target_mean=rounded.mean,
        target_std=rounded.std,
    )
    spec = HeadSpec(mask=False, differences=(("a", "a"),), products=(("a", "a"),))
    raw = torch.tensor([[rounded.mean + 3.0, 1.7e9 + 2.0]], dtype=torch.float64)
    features = RowHead(sample, spec)(raw)[0]
    wanted = [3.0, 2.0, 296.15**2 - 293.15**2, 0.0]
    assert features.tolist() == pytest.approx(wanted, rel=1e-6)
    assert sample.scales[1] == (1.0,)
    image = fit_image_head("standard", 1, mean=[100.0], std=[1e-13], value_range=(0, 255))
    assert image(torch.full((1, 1, 1, 1), 101.0)).item() == 1.0


def test_head_combines_columns_in_their_own_units() -> None:
    numbers = (
        NumberColumn(name="torque", mean=40.0, std=10.0),
        NumberColumn(name="speed", mean=1500.0, std=200.0),
    )
    sample = RowSample(objective="classes", numbers=numbers, categories=(GRADE,), classes=2)
    spec = HeadSpec(
        mask=True,
        products=(("torque", "speed"), ("torque", "torque")),
        differences=(("speed", "torque"),),
    )
    head = RowHead(sample, spec)
    draw = np.random.default_rng(0)
    torque, speed = draw.normal(40, 10, 20_000), draw.normal(1500, 200, 20_000)
    raw = np.stack([torque, speed, draw.integers(0, 3, 20_000)], 1)
    features = head(torch.from_numpy(raw)).numpy()
    assert features.shape[1] == head.width == 2 + 2 + 3 + 3
    # Features are the combinations themselves but for level and scale, which are nearly those of
    # independent columns.
    for place, values in ((4, torque * speed), (6, speed - torque)):
        assert np.corrcoef(features[:, place], values)[0, 1] == pytest.approx(1.0, abs=1e-6)
        assert features[:, place].mean() == pytest.approx(0.0, abs=0.05)
        assert features[:, place].std() == pytest.approx(1.0, abs=0.05)
    assert np.corrcoef(features[:, 5], torque**2)[0, 1] == pytest.approx(1.0, abs=1e-6)
    half = head(torch.tensor([[np.nan, 1700.0, 0.0]], dtype=torch.float64))[0].tolist()
    assert half == [0.0, 1.0, 1, 0, 0, 0, 0, 1, 0, 0]  # what needs a missing value is at its level
    plain = RowHead(sample, spec.model_copy(update={"normalise": "none"}))(torch.from_numpy(raw))
    np.testing.assert_allclose(plain[:, 4].numpy(), torque * speed, rtol=1e-6)
    with pytest.raises(
        SpecError, match=r"differences \(wear - torque\) must combine .*; got no wear"
    ):
        RowHead(sample, HeadSpec(differences=(("wear", "torque"),)))


def test_head_reads_the_calendar() -> None:
    sample = FORECAST.model_copy(update={"time": True})
    quarter = torch.tensor([[[5.0, 86_400 * 3 + 6 * 3600]] * 6], dtype=torch.float64)
    features = RowHead(sample, HeadSpec(calendar=("day",)))(quarter)[0, 0]
    np.testing.assert_allclose(features.numpy(), [0.0, 1.0, 0.0], atol=1e-6)


@pytest.mark.parametrize("name", ["gaussian", "median", "savgol"])
def test_filters_take_out_noise_and_leave_what_they_should(name: str) -> None:
    draw = np.random.default_rng(0)
    clean = np.sin(np.arange(200) / 15)
    noisy = clean + draw.normal(0, 0.3, 200)
    denoise = Denoiser(DenoiseSpec(name=name, steps=9, sigma=2.0, degree=2))
    found = denoise(torch.tensor(noisy, dtype=torch.float32)[None, :, None])[0, :, 0].numpy()
    assert np.abs(found - clean).mean() < 0.6 * np.abs(noisy - clean).mean()
    flat = torch.full((1, 20, 2), 3.0)
    torch.testing.assert_close(denoise(flat), flat)
    spike = torch.zeros(1, 21, 1)
    spike[0, 10] = 9.0
    if name == "median":
        assert denoise(spike).abs().max() == 0
    if name == "savgol":
        parabola = (torch.arange(21.0) ** 2)[None, :, None]
        torch.testing.assert_close(
            denoise(parabola)[:, 4:-4], parabola[:, 4:-4], rtol=1e-4, atol=1e-3
        )


def test_instance_normalisation_is_given_back() -> None:
    class LastValue(torch.nn.Module):
        def forward(self, window: torch.Tensor) -> torch.Tensor:
            assert window.mean(1).abs().max() < 1e-5
            return window[:, -1:].expand(-1, 4, -1)

    window = torch.rand(3, 6, 2, generator=torch.Generator().manual_seed(0)) * 100 + 1000
    answer = InstanceNormalised(LastValue(), 2, 2)(window)
    torch.testing.assert_close(answer, window[:, -1:].expand(-1, 4, -1), rtol=1e-5, atol=1e-2)
