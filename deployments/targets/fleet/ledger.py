"""Keeps what a fleet acknowledged: each answer and each truth, as the process that asked saw it.

The ledger is nobody's but the driver's: what arrived in the workspace is held against it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime

from pydantic import JsonValue

from storage.base.store import canonical_json


@dataclass(frozen=True)
class Sample:
    """What a device is asked about, and what is true of it.

    Attributes:
        body: The request's body: a picture, rows of a CSV, or JSON.
        content_type: Its media type.
        truth: What will be told as the truth; None where none is told, as for a forecast.
        note: A few words on it, such as its name in the source.
    """

    body: bytes = field(repr=False)
    content_type: str
    truth: JsonValue = None
    note: str = ""


@dataclass(frozen=True)
class Answered:
    """One answer that a device acknowledged.

    Attributes:
        answer_id: Its name, `<device>:<sequence>`.
        device: Who answered.
        round_number: Of the round that it was asked in, from 0.
        model_id: The model that answered.
        predicted: What it said, as `lepton predict --json` does.
        sample: What it was asked about, with its truth.
        score: How good the answer is, higher is better, such as 1 for right and 0 for wrong; None
            where that cannot be said.
        at: When it was acknowledged, UTC.
    """

    answer_id: str
    device: str
    round_number: int
    model_id: str
    predicted: JsonValue
    sample: Sample
    score: float | None
    at: datetime


@dataclass(frozen=True)
class Seen:
    """The model that a device's health named at a moment, and the state of its channel."""

    device: str
    model_id: str
    release: int
    status: str
    at: datetime


@dataclass
class Ledger:
    """All that was acknowledged, in the order of time.

    Attributes:
        answers: The answers.
        truths: The truth by answer id, of those whose arrival the device acknowledged.
        seen: Which models the devices' health named, each change once.
        unanswered: Requests that got no reply: whether a device took them, nobody can know.
    """

    answers: list[Answered] = field(default_factory=list)
    truths: dict[str, JsonValue] = field(default_factory=dict)
    seen: list[Seen] = field(default_factory=list)
    unanswered: int = 0

    def see(self, seen: Seen) -> bool:
        """Notes which model a device has; returns whether that is news."""
        last = next((past for past in reversed(self.seen) if past.device == seen.device), None)
        if last is not None and (last.model_id, last.release) == (seen.model_id, seen.release):
            return False
        self.seen.append(seen)
        return True

    def find_places(self, round_number: int) -> list[int]:
        """Return where the answers of one round stand among all."""
        return [
            place
            for place, answer in enumerate(self.answers)
            if answer.round_number == round_number
        ]

    def find_round(self, round_number: int) -> list[Answered]:
        """Return the answers of one round."""
        return [self.answers[place] for place in self.find_places(round_number)]

    def describe_round(self, round_number: int) -> str:
        """Return the mean score of a round in words."""
        mean = find_mean(self.find_round(round_number))
        return "not scored" if mean is None else f"score {mean:.3f}"

    def to_lines(self) -> bytes:
        """Return everything as lines of canonical JSON, each with its kind."""
        lines = [{"kind": "answer", **_to_json(answer)} for answer in self.answers]
        lines += [
            {"kind": "truth", "answer_id": answer_id, "truth": truth}
            for answer_id, truth in self.truths.items()
        ]
        lines += [{"kind": "seen", **_to_json(seen)} for seen in self.seen]
        return b"".join(canonical_json(line) + b"\n" for line in lines)


def _to_json(record: Answered | Seen) -> dict[str, JsonValue]:
    fields = asdict(record)
    if isinstance(record, Answered):
        fields["sample"] = {"note": record.sample.note, "truth": record.sample.truth}
    return {**fields, "at": record.at.isoformat(timespec="milliseconds")}


def find_mean(answers: Iterable[Answered]) -> float | None:
    """Return the mean score of answers, such as their accuracy; None where none has a score."""
    scores = [answer.score for answer in answers if answer.score is not None]
    return sum(scores) / len(scores) if scores else None


@dataclass(frozen=True)
class Window:
    """The mean score of answers that follow each other.

    Attributes:
        round_number: Their round.
        place: Where the middle of them lies among all answers, of which the first lies at 0.5.
        score: Their mean score.
    """

    round_number: int
    place: float
    score: float


def find_windows(
    answers: Sequence[Answered],
    scores: Sequence[float | None],
    size: int,
    device: str | None = None,
) -> list[Window]:
    """Return the mean score of each `size` answers; no window goes over a round's end.

    Args:
        answers: All answers, in the order of time.
        scores: The score of each, which need not be its own; None does not count.
        size: Answers in a window; what is left at a round's end is a window if it is half as many,
            and else goes to the window before it.
        device: Whose answers count; None: everybody's.
    """
    rounds: dict[int, list[tuple[int, float]]] = {}
    for place, (answer, score) in enumerate(zip(answers, scores, strict=True)):
        if score is not None and device in (None, answer.device):
            rounds.setdefault(answer.round_number, []).append((place, score))
    windows = []
    for number, part in sorted(rounds.items()):
        starts = list(range(0, len(part), size))
        if len(starts) > 1 and len(part) - starts[-1] < size / 2:
            starts.pop()
        for start, stop in zip(starts, [*starts[1:], len(part)], strict=True):
            middle = (part[start][0] + part[stop - 1][0] + 1) / 2
            mean = sum(score for _, score in part[start:stop]) / (stop - start)
            windows.append(Window(number, middle, mean))
    return windows
