"""Pictures unlike all that was learned from get a note; others do not."""

import io

import numpy as np
import pytest
from PIL import Image

from deployments.targets.errors import BadInput
from deployments.targets.run.inputs import read_samples
from deployments.targets.trust.card import Card
from deployments.targets.trust.golden import ArrayText
from storage.sources.pictures import decode_pictures

SIDE = 8


def draw(ink, paper, seed=0):
    """A stroke of ink on paper, in 0 to 1."""
    picture = np.full((1, SIDE, SIDE), paper, np.float64)
    place = np.random.default_rng(seed).integers(1, SIDE - 2)
    picture[0, 1:-1, place : place + 2] = ink
    return picture


@pytest.fixture
def card(card: Card) -> Card:
    """A model of light strokes on dark."""
    low, high = card.input.bounds
    learned = np.stack([draw(1.0, 0.0, seed) for seed in range(4)])
    values = (low + learned * (high - low)).astype(card.input.dtype)
    golden = card.golden.model_copy(update={"input": ArrayText.of(values)})
    return card.model_copy(update={"golden": golden})


def ask(picture, card):
    file = io.BytesIO()
    Image.fromarray((picture[0] * 255).astype(np.uint8)).save(file, "PNG")
    return read_samples(file.getvalue(), card, "a.png").notes


def test_what_was_learned_from_has_no_note(card):
    for seed in range(9):
        assert ask(draw(0.8, 0.1, seed), card) == ()


def test_ink_on_paper_is_told(card):
    ((number, words),) = ask(draw(0.1, 0.9), card)
    assert number == 0
    assert "lighter" in words
    assert "other way round" in words


def test_a_scaled_array_is_told(card):
    file = io.BytesIO()
    np.save(file, (draw(1.0, 0.0) / 255).astype(card.input.dtype))
    ((_, words),) = read_samples(file.getvalue(), card, "a.npy").notes
    assert "nearly one value" in words


@pytest.mark.parametrize(("size", "fits"), [((10, 10), True), ((11, 10), False)])
def test_what_is_learned_can_be_asked(card, monkeypatch, size, fits):
    monkeypatch.setattr("storage.base.pictures.MAX_PIXELS", 100)
    file = io.BytesIO()
    Image.new("L", size).save(file, "PNG")
    try:
        read_samples(file.getvalue(), card, "a.png")
        asked = True
    except BadInput:
        asked = False
    (_, kept, _) = decode_pictures([("a.png", file.getvalue())], (1, 8, 8), resize=True)
    assert asked == (kept == [0]) == fits
