"""Fills the page of a simulated fleet from its outcome, and writes it beside its ledger."""

from collections.abc import Iterator, Sequence

from deployments.targets.fleet.ledger import Answered, Ledger, Window, find_mean, find_windows
from deployments.targets.fleet.plan import Decided, Evidence, Outcome, Plan, Taken
from storage.base.store import Store
from tasks.rendering.base import MAX_PICTURE_BYTES
from tasks.rendering.fleet_page import (
    AskedPart,
    DecisionPart,
    DevicePart,
    EvidencePart,
    FleetPage,
    HeldPart,
    render_fleet_page,
)
from tasks.rendering.page_data import Metric
from tasks.rendering.pictures import is_png
from tasks.rendering.timeline import Line, Mark, Span, Spot, Timeline

WINDOWS_ALL, WINDOWS_DEVICE = 5, 4
"""Points of a line in each round."""
ASKED_A_ROUND = 7
REPORTS = "reports"


def write_fleet_page(
    workspace: Store, plan: Plan, outcome: Outcome, *, name: str, about: str, figure: str
) -> str:
    """Writes the page and the ledger of a simulation.

    Args:
        workspace: The workspace.
        plan: What was simulated.
        outcome: What came of it.
        name: Of the simulation; names its folder.
        about: What was simulated, honestly.
        figure: What the mean score is called, such as "accuracy".

    Returns:
        The page's address.
    """
    path = f"{REPORTS}/{name}/report.html"
    page = fill_fleet_page(plan, outcome, name=name, about=about, figure=figure)
    workspace.write(f"{REPORTS}/{name}/ledger.jsonl", outcome.ledger.to_lines())
    workspace.write(path, render_fleet_page(page).encode())
    return workspace.address(path)


def fill_fleet_page(
    plan: Plan, outcome: Outcome, *, name: str, about: str, figure: str
) -> FleetPage:
    """Fills the page of a simulation; of one that failed, with what there is."""
    return FleetPage(
        name=name,
        about=about,
        started_at=outcome.started_at,
        metrics=tuple(_list_metrics(plan, outcome, figure)),
        timeline=_draw_all(plan, outcome, figure),
        devices=tuple(_draw_devices(plan, outcome, figure)),
        decisions=tuple(_tell_decisions(plan, outcome)),
        invariants=tuple(
            HeldPart(name=found.name, held=found.held, detail=found.detail)
            for found in outcome.invariants
        ),
        asked=tuple(_pick_asked(plan, outcome)),
    )


def _list_metrics(plan: Plan, outcome: Outcome, figure: str) -> list[Metric]:
    answers = outcome.ledger.answers
    closing = outcome.ledger.find_places(len(plan.rounds) - 1)
    newest = find_mean([answers[place] for place in closing])
    scores = [outcome.first_scores[place] for place in closing if outcome.first_scores]
    known = [score for score in scores if score is not None]
    first = sum(known) / len(known) if known else None
    return [
        Metric(
            name=f"{figure}, last round",
            value=newest,
            kind="rate",
            note=f"{plan.rounds[-1].name}, the newest model",
        ),
        Metric(name="the first model on the same", value=first, kind="rate"),
        Metric(
            name="answers acknowledged",
            value=len(answers),
            kind="count",
            note=f"and {len(outcome.ledger.truths):,} truths",
        ),
        Metric(
            name="releases",
            value=len(outcome.releases),
            kind="count",
            note=f"of {len(outcome.decided)} decisions",
        ),
    ]


def _draw_all(plan: Plan, outcome: Outcome, figure: str) -> Timeline:
    answers = outcome.ledger.answers
    lines = [_draw_line(answers, [answer.score for answer in answers], "all devices")]
    if outcome.first_scores:
        first = _draw_line(answers, outcome.first_scores, "first model", look="baseline")
        lines.insert(0, first.model_copy(update={"meaning": "the first model, had it stayed"}))
    return Timeline(
        name=figure[:1].upper() + figure[1:],
        total=len(answers),
        lines=tuple(lines),
        spans=tuple(_list_spans(plan, outcome.ledger)),
        marks=tuple(_list_marks(outcome)),
    )


def _draw_devices(plan: Plan, outcome: Outcome, figure: str) -> Iterator[DevicePart]:
    answers = outcome.ledger.answers
    every = _draw_line(answers, [answer.score for answer in answers], "all devices", look="past")
    behind = every.model_copy(update={"named": False})
    for device in plan.devices:
        yield _draw_device(outcome, device, figure, behind)


def _draw_device(outcome: Outcome, device: str, figure: str, behind: Line) -> DevicePart:
    """Fill a device's part: its line before that of all, and the releases that it took."""
    answers = outcome.ledger.answers
    scores = [answer.score for answer in answers]
    own = [answer for answer in answers if answer.device == device]
    taken = [entry for entry in outcome.taken if entry.device == device]
    return DevicePart(
        name=device,
        answers=len(own),
        truths=sum(name.startswith(f"{device}:") for name in outcome.ledger.truths),
        releases=tuple(entry.release for entry in taken),
        timeline=Timeline(
            name=f"{figure} of {device}",
            total=len(answers),
            lines=(behind, _draw_line(answers, scores, device, device=device)),
            marks=tuple(
                Mark(place=entry.answers, words=(f"release {entry.release}",), strong=True)
                for entry in taken
            ),
        ),
    )


def _draw_line(
    answers: Sequence[Answered],
    scores: Sequence[float | None],
    name: str,
    *,
    look: str = "validation",
    device: str | None = None,
) -> Line:
    rounds = len({answer.round_number for answer in answers}) or 1
    count = sum(device in (None, answer.device) for answer in answers)
    windows = WINDOWS_ALL if device is None else WINDOWS_DEVICE
    size = max(1, round(count / rounds / windows))
    return Line(
        name=name,
        look=look,
        spots=tuple(map(_to_spot, find_windows(answers, scores, size, device))),
    )


def _to_spot(window: Window) -> Spot:
    return Spot(round_number=window.round_number, place=window.place, value=window.score)


def _list_spans(plan: Plan, ledger: Ledger) -> list[Span]:
    spans = []
    for number, part in enumerate(plan.rounds):
        if places := ledger.find_places(number):
            spans.append(Span(name=part.name, start=places[0], end=places[-1] + 1))
    return spans


def _list_marks(outcome: Outcome) -> list[Mark]:
    """List what stands above the line: each decision and each release, where answers paused."""
    places = sorted(
        {entry.answers for entry in outcome.taken} | {entry.answers for entry in outcome.decided}
    )
    marks = []
    for place in places:
        decided = [entry.decision for entry in outcome.decided if entry.answers == place]
        taken = [entry for entry in outcome.taken if entry.answers == place]
        releases = [f"release {number}" for number in sorted({entry.release for entry in taken})]
        marks.append(
            Mark(
                place=place,
                words=(*decided, *releases),
                strong=bool(taken),
                taken=tuple(map(_say_taken, taken)),
            )
        )
    return marks


def _say_taken(taken: Taken) -> str:
    return f"{taken.device} took release {taken.release} at {taken.at:%H:%M:%S}"


def _tell_decisions(plan: Plan, outcome: Outcome) -> list[DecisionPart]:
    before = min(outcome.releases, default=0)
    told = []
    for entry in outcome.decided:
        told.append(_tell_decision(plan, entry, entry.release if entry.release > before else None))
        before = max(before, entry.release)
    return told


def _tell_decision(plan: Plan, entry: Decided, release: int | None) -> DecisionPart:
    return DecisionPart(
        after=plan.rounds[entry.round_number].name,
        at=entry.at,
        decision=entry.decision,
        evidence=tuple(_tell_evidence(entry.evidence)),
        collected=entry.collected,
        release=release,
        receipt=entry.receipt.rpartition("/")[2].removesuffix(".json") if entry.receipt else None,
        took_s=entry.took_s,
    )


def _tell_evidence(evidence: Sequence[Evidence]) -> Iterator[EvidencePart]:
    """Tell one finding of each sort, and how many there are besides."""
    for name in dict.fromkeys(found.name for found in evidence):
        alike = [found for found in evidence if found.name == name]
        first = next((found for found in alike if found.outcome == "red"), alike[0])
        more = f" (and {len(alike) - 1} more)" if len(alike) > 1 else ""
        yield EvidencePart(name=name, outcome=first.outcome, detail=first.detail + more)


def _pick_asked(plan: Plan, outcome: Outcome) -> list[AskedPart]:
    """Pick some pictures of each round, evenly; none where samples are no pictures."""
    picked = []
    for number, part in enumerate(plan.rounds):
        answers = [
            answer
            for answer in outcome.ledger.find_round(number)
            if is_png(answer.sample.body) and len(answer.sample.body) <= MAX_PICTURE_BYTES
        ]
        step = max(1, len(answers) // ASKED_A_ROUND)
        picked += [_show(answer, part.name) for answer in answers[::step][:ASKED_A_ROUND]]
    return picked


def _show(answer: Answered, note: str) -> AskedPart:
    predicted = answer.predicted.get("label") if isinstance(answer.predicted, dict) else None
    return AskedPart(
        picture=answer.sample.body, answer=str(predicted), truth=str(answer.sample.truth), note=note
    )
