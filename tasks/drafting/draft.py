"""What a drafted recipe is made of, whatever it is about."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tasks.drafting.guesses import LIKELY, Guess, Notes

FORMAT = 1
AUTO = "auto"
LEAST_JUDGED, LEAST_RAREST = 200, 25
"""Validation rows, and those of the rarest class, below which a race of networks is decided by
chance."""


@dataclass(frozen=True)
class Draft:
    """A recipe that was drafted.

    Attributes:
        name: Its name.
        kind: Its kind.
        document: The recipe as plain data.
        guesses: What was guessed.
    """

    name: str
    kind: str
    document: Mapping[str, Any]
    guesses: Sequence[Guess]


@dataclass(frozen=True)
class Sections:
    """The sections of a recipe that differ from one to the next.

    Attributes:
        description: One sentence for people.
        source: Where the rows come from.
        data: Which rows and fields there are.
        gates: Limits.
        model: Head and network.
        train: How it learns.
        candidates: Artifacts that are made, best first.
        calibration_rows: Training rows that fix ranges; None for the default.
    """

    description: str
    source: Mapping[str, Any]
    data: Mapping[str, Any]
    gates: Mapping[str, Any]
    model: Mapping[str, Any]
    train: Mapping[str, Any]
    candidates: tuple[str, ...] = ("fp32",)
    calibration_rows: int | None = None


def leave_to_race(judged: int, rarest: int, quick: str, notes: Notes) -> dict[str, Any] | None:
    """Return the network section that leaves the choice to a race; None where few rows judge.

    Args:
        judged: Rows or windows that validate.
        rarest: How many of them are of the rarest class.
        quick: Family that did best in the quick race.
        notes: Takes what was guessed.
    """
    if judged < LEAST_JUDGED or rarest < LEAST_RAREST:
        return None
    why = f"networks and baselines race on {judged} validation rows before one is trained; to "
    why += f"train without a race write family: {quick}, which did best in a quick one"
    notes.add("model.network", AUTO, LIKELY, why)
    return {"family": AUTO}


def assemble(name: str, kind: str, sections: Sections, notes: Notes) -> Draft:
    """Put the sections together, with channels of the recipe's own."""
    channels = [f"{name}-edge", f"{name}-cloud"]
    notes.add("targets", channels, LIKELY, "one channel carries one task: its name is its own")
    compress: dict[str, Any] = {"candidates": sorted(sections.candidates)}
    if sections.calibration_rows is not None:
        compress["calibration_rows"] = sections.calibration_rows
    document = {
        "format": FORMAT,
        "name": name,
        "description": sections.description,
        "kind": kind,
        "source": sections.source,
        "data": sections.data,
        "gates": {room: limits for room, limits in sections.gates.items() if limits},
        "model": sections.model,
        "train": sections.train,
        "compress": compress,
        "targets": {
            channels[0]: {"prefer": list(sections.candidates)},
            channels[1]: {"prefer": ["fp32"]},
        },
    }
    return Draft(
        name, kind, {key: value for key, value in document.items() if value}, notes.guesses
    )
