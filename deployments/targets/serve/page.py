"""The page at `/`: one file, in which a sample is dropped, chosen or typed in, and answered."""

import secrets
from functools import cache
from pathlib import Path
from typing import Any

import orjson

from deployments.targets.run.live import LiveModel
from deployments.targets.trust.card_columns import ColumnSpec

_FILE = Path(__file__).with_name("page.html")
_MODEL, _NONCE = "__MODEL__", "__NONCE__"


def render_page(live: LiveModel) -> tuple[str, dict[str, str]]:
    """Return the page of the model that answers, and the headers that it must be sent with.

    The page may load nothing, and send to this node alone; only its own script runs.
    """
    nonce = secrets.token_urlsafe(16)
    policy = (
        f"default-src 'none'; script-src 'nonce-{nonce}'; style-src 'unsafe-inline'; "
        "img-src data: blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    )
    # A card's texts come from a recipe's author: none of them may end the block that holds them.
    model = orjson.dumps(_describe(live)).decode().replace("<", "\\u003c")
    text = _read_template().replace(_NONCE, nonce).replace(_MODEL, model)
    return text, {"content-security-policy": policy, "x-content-type-options": "nosniff"}


@cache
def _read_template() -> str:
    return _FILE.read_text("utf-8")


def _describe(live: LiveModel) -> dict[str, Any]:
    card, release = live.card, live.verified.release
    return {
        "name": card.name,
        "kind": card.kind,
        "model_id": live.model_id,
        "channel": release.channel,
        "release": release.number,
        "artifact": card.artifact.name,
        "shape": card.input.shape,
        "columns": [name for column in card.input.columns for name in column.columns],
        "rows": card.input.shape[0] if len(card.input.shape) > 1 and card.input.columns else 1,
        "example": {
            name: _make_value(column) for column in card.input.columns for name in column.columns
        },
        "labels": card.labels,
    }


def _make_value(column: ColumnSpec) -> str | int | None:
    """Return a value that a column may hold."""
    if column.is_time:
        told = column.time_format or column.parts
        return 0 if column.time_style.is_number else None if told else "2026-01-01T00:00:00"
    return column.vocabulary[0] if column.vocabulary else 0
