"""Rows of many requests in one run of a model, and each answer to its own request."""

from collections.abc import Iterator, Sequence
from typing import Any, Protocol, TypeVar

import numpy as np

from deployments.targets.run.live import LiveModel
from deployments.targets.run.runtime import Answers, Array

T = TypeVar("T", covariant=True)
Member = tuple[int, Array]
"""The place of a question among others, and its raw samples."""
MAX_JOINED_ROWS = 256
"""Most rows of one joined run; a request of more runs alone."""
MAX_JOINED_BYTES = 4 * 2**20
"""Most bytes of raw samples in one joined run."""


class Question(Protocol[T]):
    """What is asked of a model.

    Attributes:
        live: The model, which the request began with.
    """

    live: LiveModel

    def read(self) -> Array:
        """Read what came into raw samples (N, *shape)."""

    def tell(self, answers: Answers) -> T:
        """Pack the answers to these samples."""


def answer_together(questions: Sequence[Question[Any]]) -> list[Any]:
    """Answer questions, as many as may in one run of their model.

    What is wrong with one question, its samples too, is its own fault: where a joined run fails,
    each runs alone.

    Returns:
        What came of each question: what it told, or the exception that it failed with.
    """
    outcomes: list[Any] = [None] * len(questions)
    groups: dict[object, list[Member]] = {}
    for place, question in enumerate(questions):
        try:
            raw = question.read()
        except Exception as error:  # noqa: BLE001 (whoever asked gets it)
            outcomes[place] = error
            continue
        groups.setdefault(_find_group(place, question.live, raw), []).append((place, raw))
    for members in groups.values():
        for some in _split(members):
            _answer_group(questions, some, outcomes)
    return outcomes


def _find_group(place: int, live: LiveModel, raw: Array) -> object:
    """Return what samples have in common that may run together; of others the place."""
    if not live.joins_rows or not 1 <= len(raw) <= MAX_JOINED_ROWS:
        return place
    return id(live), raw.dtype, raw.shape[1:]


def _split(members: list[Member]) -> Iterator[list[Member]]:
    """Split samples that may run together so that each run is bounded."""
    some: list[Member] = []
    rows = size_bytes = 0
    for member in members:
        rows, size_bytes = rows + len(member[1]), size_bytes + member[1].nbytes
        if some and (rows > MAX_JOINED_ROWS or size_bytes > MAX_JOINED_BYTES):
            yield some
            some, rows, size_bytes = [], len(member[1]), member[1].nbytes
        some.append(member)
    yield some


def _answer_group(
    questions: Sequence[Question[Any]], members: list[Member], outcomes: list[Any]
) -> None:
    """Puts into `outcomes` what comes of samples that may run together."""
    live = questions[members[0][0]].live
    whole: Answers | None = None
    if len(members) > 1:
        try:
            whole = live.answer(np.concatenate([raw for _, raw in members]))
        except Exception:  # noqa: BLE001
            whole = None  # One of them, perhaps; each is asked alone, and the fault is its own.
    start = 0
    for place, raw in members:
        stop = start + len(raw)
        try:
            answers = live.answer(raw) if whole is None else _cut(whole, start, stop)
            outcomes[place] = questions[place].tell(answers)
        except Exception as error:  # noqa: BLE001 (whoever asked gets it)
            outcomes[place] = error
        start = stop


def _cut(answers: Answers, start: int, stop: int) -> Answers:
    """Return the answers to some of the samples."""
    cut = {name: array[start:stop] for name, array in answers.arrays.items()}
    return Answers(answers.outputs, cut)
