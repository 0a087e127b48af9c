"""The page of a simulated fleet: what it was asked, how well it answered, what was decided."""

from datetime import datetime

from markupsafe import Markup
from pydantic import Field

from tasks.rendering.base import MAX_PICTURE_BYTES, Part, Text
from tasks.rendering.page_data import Metric
from tasks.rendering.render import make_environment, read_script, read_style, write_policy
from tasks.rendering.timeline import Timeline, draw_small, draw_timeline

MAX_DEVICES = 24


class HeldPart(Part):
    """An invariant: a sentence, whether it was held, and what was counted."""

    name: Text
    held: bool
    detail: Text


class EvidencePart(Part):
    """One thing that a decision rests on: what was looked at, how it was found, a sentence."""

    name: Text
    outcome: Text
    detail: Text


class DecisionPart(Part):
    """What was decided after a round.

    Attributes:
        after: Name of the round.
        at: When.
        decision: "nothing", "retrain", "roll back" or "ask".
        evidence: Its reasons.
        collected: Rows that were new.
        release: Number of the release that came of it; None where none did.
        receipt: Digest of the receipt of what was retrained.
        took_s: How long it took.
    """

    after: Text
    at: datetime
    decision: Text
    evidence: tuple[EvidencePart, ...] = ()
    collected: int = 0
    release: int | None = None
    receipt: Text | None = None
    took_s: float = 0.0


class DevicePart(Part):
    """A device: its line over time, and what it took part in.

    Attributes:
        name: Its id.
        answers: Answers that it acknowledged.
        truths: Truths that it acknowledged.
        releases: Numbers of the releases that it took, in order.
        timeline: Its figure over the answers of all.
    """

    name: Text
    answers: int
    truths: int
    releases: tuple[int, ...]
    timeline: Timeline


class AskedPart(Part):
    """A sample that was asked about, with the answer of the model of that time.

    Attributes:
        picture: As PNG.
        answer: What the device said.
        truth: What is true.
        note: Which round.
    """

    picture: bytes = Field(max_length=MAX_PICTURE_BYTES)
    answer: Text
    truth: Text
    note: Text

    @property
    def correct(self) -> bool:
        """Whether the answer is the truth."""
        return self.answer == self.truth


class FleetPage(Part):
    """All that is on the page of a simulation.

    Attributes:
        name: Of the simulation.
        about: What was simulated, honestly, in a sentence or two.
        started_at: When.
        metrics: The main figures.
        timeline: The figure over all answers.
        devices: The devices.
        decisions: The decisions, in order.
        invariants: What must hold.
        asked: Some of the samples, in the order of rounds.
    """

    name: Text
    about: Text
    started_at: datetime
    metrics: tuple[Metric, ...]
    timeline: Timeline
    devices: tuple[DevicePart, ...]
    decisions: tuple[DecisionPart, ...]
    invariants: tuple[HeldPart, ...]
    asked: tuple[AskedPart, ...] = ()

    @property
    def broken(self) -> tuple[HeldPart, ...]:
        """The invariants that were not held."""
        return tuple(part for part in self.invariants if not part.held)


def render_fleet_page(page: FleetPage) -> str:
    """Return the page as HTML5, UTF-8, self-contained; every string is cleaned and escaped."""
    css, script = read_style(), read_script()
    return (
        make_environment()
        .get_template("fleet.html.j2")
        .render(
            page=page,
            css=Markup(css),  # noqa: S704 - our own file
            script=Markup(script),  # noqa: S704 - our own file
            policy=write_policy(css, script),
            headlines=page.metrics,
            drawing=draw_timeline(page.timeline),
            devices=[(part, draw_small(part.timeline)) for part in page.devices[:MAX_DEVICES]],
        )
    )
