"""What is to be simulated, and what came of it: plain records."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from pydantic import JsonValue

from deployments.targets.fleet.drift import Round
from deployments.targets.fleet.invariants import Invariant
from deployments.targets.fleet.ledger import Ledger

Score = Callable[[Any, JsonValue], float | None]
"""From what was predicted, as `lepton predict --json` tells it, and the truth, to a score."""


@dataclass(frozen=True)
class Plan:
    """A simulation.

    Attributes:
        workspace: Folder or URL of the workspace.
        recipe: Name or path of the recipe, which is carried out first.
        channel: The channel that the devices follow.
        devices: Their ids.
        rounds: What they are asked. Each round but the last ends with `lepton feedback`.
        score: How good an answer is.
        folder: A local folder for the devices' states and for logs.
        entry: `module:function` of the command.
        late: Share of a round's truths that are told only when the next one is over.
        device_class: The class that the devices are of.
        interval_s: How often an agent asks its channel, in seconds.
    """

    workspace: str
    recipe: str
    channel: str
    devices: tuple[str, ...]
    rounds: tuple[Round, ...]
    score: Score
    folder: Path
    entry: str
    late: float = 0.5
    device_class: str = "default"
    interval_s: float = 1.0


class Watcher(Protocol):
    """Shows whoever waits how far it is."""

    def begin(self, stage: str) -> None:
        """Shows that a stage begins."""
        ...

    def advance(self, stage: str, done: int, total: int | None, note: str) -> None:
        """Shows how far it is."""
        ...

    def end(self, stage: str, outcome: str, note: str, duration_s: float) -> None:
        """Shows how it ended: "done" or "failed"."""
        ...


@dataclass(frozen=True)
class Evidence:
    """One thing that a decision rests on, as `lepton feedback --json` tells it."""

    name: str
    outcome: str
    detail: str

    @classmethod
    def parse(cls, told: Any) -> "Evidence":
        """Reads one from JSON; a bare sentence is a note."""
        if isinstance(told, dict):
            return cls(*(str(told.get(key, "")) for key in ("name", "outcome", "detail")))
        return cls("", "noted", str(told))


@dataclass(frozen=True)
class Decided:
    """What `lepton feedback` decided after a round.

    Attributes:
        round_number: The round.
        decision: "nothing", "retrain", "roll back" or "ask".
        evidence: Its reasons.
        collected: Rows that were new.
        receipt: Path of the receipt of what was retrained; None without.
        release: The channel's release afterwards.
        answers: Answers that had been given when it was made.
        at: When.
        took_s: How long it took, in seconds.
    """

    round_number: int
    decision: str
    evidence: tuple[Evidence, ...]
    collected: int
    receipt: str | None
    release: int
    answers: int
    at: datetime
    took_s: float


@dataclass(frozen=True)
class Taken:
    """A release that a device took by itself, and how many answers had been given by then."""

    device: str
    release: int
    model_id: str
    answers: int
    at: datetime


@dataclass
class Outcome:
    """What came of a simulation.

    Attributes:
        ledger: All that was acknowledged.
        started_at: When it began, UTC.
        releases: The model id of each of the channel's releases, by number.
        decided: The decisions.
        taken: The releases that devices took.
        first_scores: What the first model would have scored with each answered sample.
        invariants: What was held against the ledger.
    """

    started_at: datetime
    ledger: Ledger = field(default_factory=Ledger)
    releases: dict[int, str] = field(default_factory=dict)
    decided: list[Decided] = field(default_factory=list)
    taken: list[Taken] = field(default_factory=list)
    first_scores: list[float | None] = field(default_factory=list)
    invariants: list[Invariant] = field(default_factory=list)

    @property
    def held(self) -> bool:
        """Whether every invariant was held."""
        return bool(self.invariants) and all(found.held for found in self.invariants)


def score_label(predicted: Any, truth: JsonValue) -> float | None:
    """Return 1 for the right class and 0 for a wrong one; None where no truth is known."""
    if truth is None or not isinstance(predicted, dict):
        return None
    return float(predicted.get("label") == truth)
