"""What a reader of a run's page can type to check it, or to use the model."""

import shlex
from dataclasses import dataclass

from tasks.rendering.page_data import RunPage


@dataclass(frozen=True)
class Command:
    """One thing to type: what for, and the line."""

    purpose: str
    line: str


def list_commands(page: RunPage) -> list[Command]:
    """Return what a reader can type to check the page, or to use the model."""
    where = ["--workspace", page.workspace] if page.workspace else []
    commands = []
    if page.receipt:
        commands.append(
            Command(
                "Re-hash every file that the receipt names",
                _write(["verify", page.receipt.id[:16]], where),
            )
        )
        if page.receipt.model_id:
            trace = _write(["trace", page.receipt.model_id[:16]], where)
            commands.append(Command("Follow the model back to its source", trace))
    if page.waits:
        commands.append(Command("Say yes or no", _write(["approve", page.run], where)))
    if page.promoted:
        commands += [
            Command(
                f"Ask the model on {channel}", _write(["predict", channel], where, page.operand)
            )
            for channel in page.channels
        ]
    return commands


def _write(words: list[str], where: list[str], operand: str = "") -> str:
    return shlex.join(["lepton", *words, *([operand] if operand else []), *where])
