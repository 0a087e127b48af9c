"""Digits turn by the angle that is said, nobody is asked one twice, and all are PNG files."""

import io

import numpy as np
import pytest
from PIL import Image

from deployments.targets.fleet.drift import plan_angles, plan_rounds, turn_picture


def _read(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png), formats=("PNG",)), dtype=np.float64)


def test_a_picture_that_is_not_turned_keeps_its_values() -> None:
    picture = np.arange(64, dtype=np.uint8).reshape(8, 8) % 17
    assert np.array_equal(np.rint(_read(turn_picture(picture, 0, 16)) * 16 / 255), picture)


@pytest.mark.parametrize(("angle", "turns"), [(90, 1), (180, 2)])
def test_a_picture_turns_counterclockwise(angle: float, turns: int) -> None:
    picture = np.zeros((8, 8), dtype=np.uint8)
    picture[1:3, 1:7] = 16
    turned = _read(turn_picture(picture, angle, 16)) / 255 * 16
    assert (
        np.abs(turned - np.rot90(picture, turns)).max() < 4
    )  # of 16: enlarging and reducing blurs


@pytest.mark.parametrize(
    ("rounds", "angles"),
    [(1, [40, 40]), (2, [0, 40, 40]), (3, [0, 20, 40, 40]), (5, [0, 10, 20, 30, 40, 40])],
)
def test_angles_grow_and_the_closing_round_goes_no_farther(
    rounds: int, angles: list[float]
) -> None:
    assert plan_angles(rounds, 40) == angles


def test_no_picture_is_used_twice() -> None:
    pictures = np.random.default_rng(0).integers(0, 17, (50, 8, 8), dtype=np.uint8)
    labels = [str(number % 10) for number in range(50)]
    rounds = plan_rounds(pictures, labels, devices=3, angles=[0, 20, 20], highest=16)
    samples = [sample for part in rounds for device in part.samples for sample in device]
    assert [[len(device) for device in part.samples] for part in rounds] == [[5, 5, 5]] * 3
    assert len({sample.note for sample in samples}) == 45
    assert [part.name for part in rounds] == ["upright", "turned by 20°", "turned by 20°"]
    assert all(sample.truth == labels[int(sample.note.split()[1])] for sample in samples)
