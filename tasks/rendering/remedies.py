"""What to do about a run that was stopped: what its page begins with."""

from collections.abc import Iterator, Sequence

from gates.engine.report import Check
from tasks.rendering.base import Part, Text

MOST = 4
_BY_GATE = {
    "gate raw": "Mend these rows where they come from, or leave the column out of the recipe. If "
    "such rows are right, widen the limit.",
    "gate prepared": "Choose or split the rows in another way (data.split of the recipe), or fetch "
    "more. If the splits are as they must be, widen the limit.",
    "gate model": "Give it more rows, better columns, more epochs or another network. If it is "
    "good enough for its task, move the limit.",
    "gate artifact": "Give the channel another candidate to prefer (targets of the recipe), or "
    "move the limit.",
}


class Remedy(Part):
    """One thing to do.

    Attributes:
        text: A sentence.
        about: The checks that it helps against; empty where no gate has stopped the run.
        keys: Where the recipe states their limits.
    """

    text: Text
    about: tuple[Text, ...] = ()
    keys: tuple[Text, ...] = ()


def list_remedies(
    stage: str, findings: Sequence[Check], reasons: Sequence[str]
) -> tuple[Remedy, ...]:
    """Return what to do about a stop, each thing once.

    Args:
        stage: The stage that stopped the run.
        findings: The checks that did; none where it was no gate.
        reasons: What was said of the stop.
    """
    if not findings:
        return tuple(Remedy(text=text) for text in dict.fromkeys(_read_remedies(reasons)))[:MOST]
    grouped: dict[str, list[Check]] = {}
    for check in findings:
        grouped.setdefault(check.hint or _BY_GATE.get(stage, ""), []).append(check)
    return tuple(
        Remedy(
            text=_begin(text),
            about=tuple(dict.fromkeys(check.about for check in checks)),
            keys=tuple(dict.fromkeys(check.key for check in checks if check.key)),
        )
        for text, checks in grouped.items()
    )[:MOST]


def _read_remedies(reasons: Sequence[str]) -> Iterator[str]:
    """Yield what errors end with: they say what must be, what was found, and then the remedy."""
    for reason in reasons:
        first, *rest = reason.splitlines()[0].split("; ") if reason else [""]
        found = next((place for place, part in enumerate(rest) if part.startswith("got ")), None)
        if "must" in first and found is not None and rest[found + 1 :]:
            yield _begin("; ".join(rest[found + 1 :]))


def _begin(text: str) -> str:
    sentence = text[:1].upper() + text[1:]
    return sentence if not sentence or sentence.endswith(".") else f"{sentence}."
