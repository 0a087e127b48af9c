"""Artifacts side by side: what each measured, on the held-out rows where it answered them."""

from collections.abc import Sequence

from storage.base.figures import Figure
from storage.records.receipts import ArtifactRecord
from tasks.rendering.text import name_figure, show_figure

_SPLITS = {"held_out": "held out", "validation": "validation"}


def name_score(candidates: Sequence[ArtifactRecord]) -> str:
    """Return the name of the figure that artifacts are compared by, for the head of a column."""
    scores = (candidate.find_score(split) for candidate in candidates for split in _SPLITS)
    name = next((score.name for score in scores if score is not None), "accuracy")
    shown = name_figure(name)
    return shown[:1].upper() + shown[1:]


def show_score(candidate: ArtifactRecord) -> tuple[str, str]:
    """Return how well an artifact answers, and on which rows; held-out ones before others."""
    for split, words in _SPLITS.items():
        if (score := candidate.find_score(split)) is not None:
            return show_figure(score), words
    return show_figure(Figure(name="", value=None)), "validation"


def show_agreement(candidate: ArtifactRecord) -> tuple[str, str]:
    """Return how often an artifact answers as the float model does, and on which rows."""
    for split, words in _SPLITS.items():
        if (share := candidate.find("agreement", split)) is not None:
            return show_figure(Figure(name="agreement", value=share)), words
    return show_figure(Figure(name="agreement", value=None)), "validation"


def find_largest(candidates: Sequence[ArtifactRecord], name: str) -> float:
    """Return the largest value of a figure among artifacts; 0 where none has it."""
    return max((candidate.find(name) or 0.0 for candidate in candidates), default=0.0)
