import numpy as np

from tasks.gates.row_figures import measure_energy


def test_energy_does_not_hang_on_the_row_that_a_version_begins_with():
    rng = np.random.default_rng(0)
    hours = np.arange(6000)
    values = 10 + 3 * np.sin(hours * np.pi / 12) + rng.normal(0, 0.3, 6000)

    def spread(start):
        energy = measure_energy(values[start:], None)
        return np.sort(energy[np.isfinite(energy)])

    whole = spread(0)
    assert 90 < len(whole) <= 6000 // 61
    for start in (5, 8, 16, 23):
        quantiles = [np.quantile(each, (0.1, 0.5, 0.9)) for each in (whole, spread(start))]
        assert np.allclose(*quantiles, rtol=0.35), start


def test_energy_looks_at_each_entity_by_itself():
    rng = np.random.default_rng(0)
    one = np.sin(np.arange(640) * np.pi / 12)
    both = np.stack([one, 50 + rng.normal(0, 1, 640)], axis=1).reshape(-1)
    entities = np.tile([1, 2], 640)
    energy = measure_energy(both, entities)
    smooth = energy[entities == 1]
    assert np.nanmax(smooth) < 0.01 < 0.2 < np.nanmin(energy[entities == 2])
