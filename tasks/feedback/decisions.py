"""The log of decisions on a channel: signed lines, each naming the one before it.

<workspace>/releases/<channel>.jsonl    {"signatures", "signed"} a line, canonical JSON
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from deployments.targets.publish.history import STEERING_FORMAT
from deployments.targets.trust.chain import REMEDY, append_chain, locate_log, read_chain
from deployments.targets.trust.keys import KeyRing
from storage.base.errors import Corrupt
from storage.base.store import Store
from tasks.feedback.decide import Decision
from tasks.feedback.evidence import Finding
from tasks.runtime.outcome_base import Result


class DatasetRef(Result):
    """The feedback version that a decision is about."""

    name: str
    number: int
    digest: str


class DecisionLine(Result):
    """One decision on a channel.

    Attributes:
        at: When it was made.
        recipe: Name of the recipe.
        channel: Name of the channel.
        decision: What was decided.
        evidence: Why.
        dataset: What had come back by then; None before the first row.
        champion: The promoted model when it was decided; None without one.
        receipt: Receipt of the retraining, promoted or stopped; None where there was none.
        previous: sha256 of the line before, without its end; None of the first.
    """

    format: Literal[1] = 1
    at: datetime
    recipe: str
    channel: Annotated[str, Field(min_length=1)]
    decision: Decision
    evidence: tuple[Finding, ...]
    dataset: DatasetRef | None
    champion: str | None
    receipt: str | None
    previous: str | None = None

    def is_same(self, other: "DecisionLine") -> bool:
        """Whether both decide the same of the same rows and the same model."""
        return self._key == other._key

    @property
    def _key(self) -> tuple[object, ...]:
        return (self.recipe, self.decision, self.dataset, self.champion, self.receipt)


def append_decision(store: Store, line: DecisionLine, ring: KeyRing | None = None) -> bool:
    """Appends a decision to its channel's log, durable once it returns.

    One that says the same as the last of its sort is not appended again: a call that was killed
    after it wrote finds its own.

    Returns:
        Whether it was appended.

    Raises:
        Corrupt: The log is not the chain of signed lines that it was.
    """
    place = locate_log(line.channel)

    def list_new(bodies: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        there = _parse_lines(bodies, place)
        if there and there[-1].is_same(line):
            return []
        return [line.model_dump(mode="json")]

    return append_chain(store, place, list_new, ring or KeyRing()) > 0


def read_decisions(store: Store, channel: str, ring: KeyRing | None = None) -> list[DecisionLine]:
    """Reads what was decided of what came back, oldest first; none where there is no file.

    Raises:
        Corrupt: A line is not signed by a trusted key, or does not name the one before it.
    """
    place = locate_log(channel)
    return _parse_lines(read_chain(store, place, (ring or KeyRing()).trusted_receipt_keys()), place)


def _parse_lines(bodies: Sequence[Mapping[str, Any]], place: str) -> list[DecisionLine]:
    """Parses the lines of this format, and lets those of a channel's steering be."""
    found = []
    for number, body in enumerate(bodies, 1):
        if body.get("format") == STEERING_FORMAT:
            continue
        try:
            found.append(DecisionLine.model_validate_json(json.dumps(body)))
        except ValidationError as error:
            raise Corrupt(
                f"line {number} of {place} must follow format 1; got "
                f"{error.errors()[0]['msg']}; {REMEDY}"
            ) from error
    return found
