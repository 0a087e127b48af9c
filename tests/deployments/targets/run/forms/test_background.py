"""What is transparent has the colour that a recipe names, where one learns and where one asks."""

import io

import numpy as np
import pytest
from PIL import Image

from deployments.targets.run.forms.image import read_image
from deployments.targets.trust.card import InputSpec
from storage.forms.image_field import ImageField
from storage.sources.pictures import decode_pictures

WHITE = (255, 255, 255)


def make(mode: str) -> bytes:
    """A dark square on nothing, 8 x 8."""
    file = io.BytesIO()
    alpha = np.zeros((8, 8), np.uint8)
    alpha[2:6, 2:6] = 255
    if mode in ("RGBA", "LA"):
        ink = np.full((8, 8, len(mode) - 1), 20, np.uint8)
        Image.fromarray(np.dstack([ink, alpha]), mode).save(file, "PNG")
    elif mode == "P":
        picture = Image.fromarray((alpha > 0).astype(np.uint8), "P")
        picture.putpalette([0, 200, 0, 20, 20, 20])
        picture.save(file, "PNG", transparency=0)
    else:
        deep = np.where(alpha > 0, 20 * 257, 7).astype(np.uint16)
        Image.fromarray(deep).save(file, "PNG", transparency=7)
    return file.getvalue()


@pytest.mark.filterwarnings("ignore:.*mode.*parameter:DeprecationWarning")
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "I;16"])
def test_learning_and_asking_fill_the_same_colour(mode: str, channels: int) -> None:
    data, shape = make(mode), (channels, 8, 8)
    dtype, most = ("uint16", 65535) if mode == "I;16" and channels == 1 else ("uint8", 255)
    spec = InputSpec(form="image", name="image", dtype=dtype, shape=shape, value_range=(0, most))
    for background, edge in (((0, 0, 0), 0), (WHITE, most)):
        learned, _, faults = decode_pictures(
            [("a.png", data)], shape, resize=True, dtype=dtype, background=background
        )
        assert not faults
        asked = read_image(data, spec.model_copy(update={"background": background}), "a.png")
        np.testing.assert_array_equal(learned, asked)
        assert learned[0, :, 0, 0].tolist() == [edge] * channels
        assert learned[0, :, 4, 4].tolist() == [20 * most // 255] * channels


def test_a_coloured_background_stays_one_behind_grey() -> None:
    images, _, _ = decode_pictures(
        [("a.png", make("LA"))], (3, 8, 8), resize=True, background=(255, 0, 0)
    )
    assert images[0, :, 0, 0].tolist() == [255, 0, 0]
    assert images[0, :, 4, 4].tolist() == [20, 20, 20]


def test_black_leaves_no_trace_in_a_card_or_a_data_section() -> None:
    field = ImageField(shape=(1, 8, 8))
    assert set(field.model_dump(mode="json")) == {"shape", "dtype", "value_range"}
    spec = InputSpec(form="image", name="image", dtype="uint8", shape=(1, 8, 8))
    assert "background" not in spec.model_dump_json()
    told = spec.model_copy(update={"background": WHITE})
    assert InputSpec.model_validate_json(told.model_dump_json()) == told
    assert field.model_copy(update={"background": WHITE}).model_dump()["background"] == WHITE
