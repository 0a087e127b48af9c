"""The run's page: one HTML file that needs no network, no script and no trust in any string on it."""

import base64
import hashlib
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from tasks.pages.parts import charts, gauges, matrix, plots, text
from tasks.pages.parts.page_data import Metric, RunPage, Sample

T = TypeVar("T")

MAX_SAMPLES = 21
MAX_WRONG = 14
MAX_FILES = 200
_FOLDER = Path(__file__).parent
_ORDER = ("raw", "prepared", "train", "validation", "held_out")
_KINDS: Mapping[str, Callable[[Any], str]] = {
    "rate": text.format_rate,
    "count": text.format_number,
    "seconds": text.format_seconds,
    "milliseconds": text.format_milliseconds,
    "bytes": text.format_bytes,
    "plain": text.format_number,
}


@dataclass(frozen=True)
class Command:
    """One thing to type: what for, and the line."""

    purpose: str
    line: str


def render_run_page(page: RunPage) -> str:
    """Return the page of one run as HTML5, UTF-8, self-contained.

    Its content security policy (W3C CSP Level 3) allows nothing but its own style sheet and script,
    by hash, and pictures inside the page.
    """
    css, script = _read("run.css"), _read("run.js")
    headlines = [metric for metric in page.metrics if metric.headline][:4]
    classes = matrix.summarize_classes(page.confusion) if page.confusion else ()
    return (
        make_environment()
        .get_template("run.html.j2")
        .render(
            page=page,
            unfolded=False,
            css=Markup(css),  # noqa: S704 - our own file
            script=Markup(script),  # noqa: S704 - our own file
            policy=write_policy(css, script),
            loss=charts.draw_loss(page.curve, page.best_epoch),
            accuracy=charts.draw_accuracy(page.curve, page.best_epoch),
            error=charts.draw_error(page.curve, page.best_epoch),
            plots=[plot for plot in map(plots.draw_forecast, page.forecasts) if plot is not None],
            scatter=plots.draw_scatter(page.scatter) if page.scatter else None,
            confusion=matrix.draw_confusion(page.confusion) if page.confusion else None,
            classes=matrix.find_worst(classes),
            class_count=len(classes),
            mistakes=matrix.find_mistakes(page.confusion) if page.confusion else (),
            samples=_order_samples(page.samples),
            headlines=headlines,
            other_metrics=[metric for metric in page.metrics if metric not in headlines],
            commands=_list_commands(page),
            max_files=MAX_FILES,
        )
    )


@lru_cache(maxsize=1)
def make_environment() -> Environment:
    """Return the templates' environment: everything is escaped, nothing undefined passes."""
    environment = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "bytes": text.format_bytes,
        "count": text.format_number,
        "data_uri": _inline_picture,
        "limit": text.show_limit,
        "metric": show_metric,
        "milliseconds": text.format_milliseconds,
        "moment": text.format_moment,
        "observed": text.show_observed,
        "rate": text.format_rate,
        "rule": text.show_rule,
        "in_order": _put_in_order,
        "seconds": text.format_seconds,
        "short": text.shorten_digest,
        "value": text.show_value,
    }
    environment.globals |= {
        "draw_gauge": gauges.draw_gauge,
        "draw_parts": charts.draw_parts,
        "draw_share": charts.draw_share,
        "draw_strip": gauges.draw_strip,
    }
    return environment


def read_style() -> str:
    """Return the style sheet of all pages."""
    return _read("run.css")


def _read(name: str) -> str:
    return (_FOLDER / name).read_text("utf-8")


def write_policy(css: str, script: str) -> str:
    """Return the content security policy; the hashes are of what stands between the tags."""
    style, code = (
        base64.b64encode(hashlib.sha256(part.encode()).digest()).decode() for part in (css, script)
    )
    return (
        f"default-src 'none'; style-src 'sha256-{style}'; script-src 'sha256-{code}'; img-src "
        "data:; "
        "base-uri 'none'; form-action 'none'"
    )


def _inline_picture(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def show_metric(metric: Metric) -> str:
    """Return a figure in its unit."""
    return metric.value if isinstance(metric.value, str) else _KINDS[metric.kind](metric.value)


def _order_samples(samples: tuple[Sample, ...]) -> list[Sample]:
    """Return samples, wrong ones first and the surest of them ahead; right ones follow, the least sure ahead."""
    wrong = sorted(
        (sample for sample in samples if not sample.correct), key=lambda sample: -sample.confidence
    )
    right = sorted(
        (sample for sample in samples if sample.correct), key=lambda sample: sample.confidence
    )
    return [*wrong[: max(MAX_WRONG, MAX_SAMPLES - len(right))], *right][:MAX_SAMPLES]


def _put_in_order(parts: Mapping[str, T]) -> dict[str, T]:
    """Return datasets or splits in the order of the chain, whatever order they were recorded in; others follow."""
    return {name: parts[name] for name in (*(name for name in _ORDER if name in parts), *parts)}


def _list_commands(page: RunPage) -> list[Command]:
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
