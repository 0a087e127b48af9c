"""Samples as small PNG pictures."""

import io

import numpy as np
import pytest
from PIL import Image

from tasks.rendering.pictures import MAX_SIDE, encode_picture


def decode(picture: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(picture)))


def test_picture_maps_the_value_range_onto_black_to_white() -> None:
    grey = decode(encode_picture(np.array([[[0, 8], [16, 99]]]), (0, 16)))
    np.testing.assert_array_equal(grey, [[0, 128], [255, 255]])
    colour = np.zeros((3, 2, 2))
    colour[1] = 1
    np.testing.assert_array_equal(decode(encode_picture(colour, (0, 1)))[0, 0], [0, 255, 0])
    holes = np.array([[np.nan, np.inf], [-np.inf, 0.5]])
    np.testing.assert_array_equal(decode(encode_picture(holes, (0, 1))), [[0, 255], [0, 128]])
    assert decode(encode_picture(np.ones((5, 2, 2)), (0, 1))).shape == (2, 2)


def test_picture_is_reduced_and_never_enlarged() -> None:
    assert decode(encode_picture(np.zeros((1, 300, 100)), (0, 1))).shape == (MAX_SIDE, 27)
    assert decode(encode_picture(np.zeros((1, 8, 8)), (0, 1))).shape == (8, 8)


@pytest.mark.parametrize(
    ("shape", "value_range"), [((8,), (0, 1)), ((1, 0, 8), (0, 1)), ((1, 8, 8), (1, 1))]
)
def test_picture_refuses_what_it_cannot_draw(
    shape: tuple[int, ...], value_range: tuple[float, float]
) -> None:
    with pytest.raises(ValueError, match="must be"):
        encode_picture(np.zeros(shape), value_range)
