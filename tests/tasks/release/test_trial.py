"""What a candidate may have lost: certain where rows are many, anything where they are few."""

import numpy as np
import pytest

from lightning_modules.data.readers import SampleBatch
from tasks.objectives.sheets import AnswerSheet
from tasks.release.trial import TrialRows, bound_loss

RNG = np.random.default_rng(0)


def make_trial(rows: int, reach: int = 1, width: int = 2) -> TrialRows:
    sheet = AnswerSheet(
        np.arange(rows, dtype=np.uint64), np.zeros(rows, np.int64), np.zeros((rows, width))
    )
    return TrialRows(sheet, RNG.permutation(rows), reach=reach)


def split(rows: int, blocks: int = 20) -> list[np.ndarray]:
    return np.array_split(np.arange(rows), blocks)


def test_the_most_that_was_lost_covers_the_truth_nineteen_times_in_twenty() -> None:
    covered = 0
    for _ in range(400):
        errors = RNG.exponential(0.01, 500)
        covered += bound_loss(split(500), lambda places, e=errors: e[places].mean()).most >= 0.01
    assert 0.91 <= covered / 400 <= 0.99


def test_neighbours_that_err_alike_make_it_wider() -> None:
    apart = RNG.normal(0, 1, 2000)
    alike = np.repeat(RNG.normal(0, 1, 20), 100)
    widths = []
    for errors in (apart, alike):
        loss = bound_loss(split(2000), lambda places, e=errors: e[places].mean())
        widths.append(loss.most - loss.seen)
    assert widths[1] > 5 * widths[0]


@pytest.mark.parametrize(("rows", "promises"), [(119, False), (148, False), (149, True)])
def test_no_difference_on_few_rows_promises_little(rows: int, promises: bool) -> None:
    loss = make_trial(rows).bound_share(lambda _: 0.0, exact=False)
    assert (loss.seen, loss.rows) == (0.0, rows)
    assert (loss.most <= 0.02) is promises


def test_the_float_model_itself_needs_no_interval() -> None:
    trial = make_trial(7)
    same = AnswerSheet(trial.reference.row_id, trial.reference.truth, np.full((7, 2), 5e-5))
    assert trial.is_exact(same, 1.0)
    assert not trial.is_exact(same, 0.1)
    assert trial.bound_share(lambda _: 0.0, exact=True).most == 0.0
    assert bound_loss([np.arange(3)], lambda _: 0.0).most == float("inf")


def test_blocks_follow_the_stored_order_and_are_longer_than_a_window_reaches() -> None:
    trial = make_trial(600, reach=60)
    assert len(trial.blocks) == 10
    stored = trial.places[np.concatenate(trial.blocks)]
    np.testing.assert_array_equal(stored, np.arange(600))
    assert len(make_trial(600).blocks) == 20
    wide = make_trial(600, width=20_000)
    assert len(np.concatenate(wide.blocks)) == 100


def test_added_rows_stand_behind_the_validation_rows() -> None:
    trial = make_trial(3)
    extra = SampleBatch(np.ones((2, 4)), np.array([1, 1]), np.array([7, 8], np.uint64))
    joined = TrialRows(trial.reference, trial.places, extra).extend(
        trial.reference, lambda samples: samples[:, :2]
    )
    assert joined.row_id.tolist() == [0, 1, 2, 7, 8]
    assert joined.values[3:].tolist() == [[1, 1], [1, 1]]
    assert trial.extend(trial.reference, lambda samples: samples) is trial.reference
