import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from gates.drift.cells import count_cells
from gates.drift.profile import make_grid

FINITE = st.floats(-1e12, 1e12, allow_nan=False)


@settings(max_examples=40, deadline=None)
@given(
    limits=st.lists(FINITE, min_size=4, max_size=4).map(sorted),
    values=st.lists(FINITE),
    seed=st.integers(0, 99),
)
def test_cells_are_those_of_a_search(limits, values, seed):
    edges = np.array(make_grid(limits, 0.0, 1.0).edges)
    spread = np.random.default_rng(seed).normal(limits[1], abs(limits[2] - limits[1]) + 1, 200)
    found = np.concatenate(
        [values, edges, np.nextafter(edges, np.inf), np.nextafter(edges, -np.inf), spread]
    )
    places = np.clip(np.searchsorted(edges, found, side="right") - 1, 0, len(edges) - 2)
    assert (
        count_cells(found, edges).tolist() == np.bincount(places, minlength=len(edges) - 1).tolist()
    )


def test_cells_of_any_widths_are_those_of_a_search():
    rng = np.random.default_rng(0)
    for edges in (
        np.array([0.0, 1.0]),
        np.cumsum(rng.exponential(1, 50)),
        np.geomspace(1e-9, 1e9, 30),
    ):
        values = np.concatenate([rng.normal(5, 30, 500), edges])
        places = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, len(edges) - 2)
        assert (
            count_cells(values, edges).tolist()
            == np.bincount(places, minlength=len(edges) - 1).tolist()
        )
