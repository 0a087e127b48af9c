"""The run's page: one HTML file that needs no network and trusts no string on it."""

import base64
import hashlib
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, TypeVar

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from tasks.rendering import (
    bars,
    candidates,
    charts,
    curves,
    gauges,
    matrix,
    plots,
    profile,
    text,
    tradeoff,
    verdicts,
)
from tasks.rendering.answers import Sample
from tasks.rendering.commands import list_commands
from tasks.rendering.costs import show_sum
from tasks.rendering.page_data import Metric, RunPage

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


def render_run_page(page: RunPage) -> str:
    """Return the page of one run as HTML5, UTF-8, self-contained.

    Its content security policy (W3C CSP Level 3) allows nothing but its own style sheet and script,
    by hash, and pictures inside the page.
    """
    css, script = read_style(), read_script()
    headlines = [metric for metric in page.metrics if metric.headline][:4]
    template = make_environment().get_template("run.html.j2")
    return template.render(
        page=page,
        unfolded=False,
        css=Markup(css),  # noqa: S704 - our own file
        script=Markup(script),  # noqa: S704 - our own file
        policy=write_policy(css, script),
        curves=charts.draw_curves(page.curve, page.best_epoch),
        score=candidates.name_score(page.candidates),
        tradeoffs=tradeoff.draw_tradeoffs(page.candidates),
        headlines=headlines,
        other_metrics=[metric for metric in page.metrics if metric not in headlines],
        commands=list_commands(page),
        max_files=MAX_FILES,
        **_draw_answers(page),
    )


def _draw_answers(page: RunPage) -> dict[str, Any]:
    """Return the held-out answers as the templates take them."""
    classes = matrix.summarize_classes(page.confusion) if page.confusion else ()
    return {
        "plots": [plot for plot in map(plots.draw_forecast, page.forecasts) if plot is not None],
        "scatter": plots.draw_scatter(page.scatter) if page.scatter else None,
        "confusion": matrix.draw_confusion(page.confusion) if page.confusion else None,
        "classes": matrix.find_worst(classes),
        "class_count": len(classes),
        "curve": curves.draw_precision_recall(page.precision_recall)
        if page.precision_recall
        else None,
        "step_errors": curves.draw_step_errors(page.steps) if page.steps else None,
        "mistakes": matrix.find_mistakes(page.confusion) if page.confusion else (),
        "samples": _order_samples(page.samples),
    }


@lru_cache(maxsize=1)
def make_environment() -> Environment:
    """Return the templates' environment: everything is cleaned and escaped, nothing undefined."""
    environment = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        finalize=_clean,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= _list_filters()
    environment.globals |= _list_globals()
    return environment


def _list_filters() -> dict[str, Callable[..., Any]]:
    return {
        "agreement": candidates.show_agreement,
        "bytes": text.format_bytes,
        "sum_up": show_sum,
        "class_costs": candidates.list_class_costs,
        "count": text.format_number,
        "data_uri": _inline_picture,
        "failed": verdicts.list_failed,
        "in_order": _put_in_order,
        "largest": candidates.find_largest,
        "limit": text.show_limit,
        "lost": candidates.list_lost,
        "metric": show_metric,
        "milliseconds": text.format_milliseconds,
        "minute": text.format_minute,
        "moment": text.format_moment,
        "note": verdicts.find_note,
        "noted": verdicts.list_noted,
        "observed": text.show_observed,
        "rate": text.format_rate,
        "rule": text.show_rule,
        "score": candidates.show_score,
        "seconds": text.format_seconds,
        "three": partial(text.format_number, digits=3),
        "together": _show_together,
        "short": text.shorten_digest,
        "value": text.show_value,
        "verdict": verdicts.name_verdict,
        "worst_slice": candidates.show_worst_slice,
    }


def _list_globals() -> dict[str, Any]:
    return {
        "SIGNS": verdicts.SIGNS,
        "draw_column": profile.draw_column,
        "draw_gauge": gauges.draw_gauge,
        "draw_parts": bars.draw_parts,
        "draw_share": bars.draw_share,
        "draw_strip": gauges.draw_strip,
    }


def _clean(value: object) -> object:
    """Return what a template writes with every unseen character of it shown; markup is ours."""
    return value if isinstance(value, Markup) else text.clean_text(value)


def read_style() -> str:
    """Return the style sheet of all pages."""
    return _read("run.css")


def read_script() -> str:
    """Return the script of pages that have one."""
    return _read("run.js")


def _read(name: str) -> str:
    return (_FOLDER / name).read_text("utf-8")


def write_policy(css: str, script: str) -> str:
    """Return the content security policy; the hashes are of what stands between the tags."""
    style, code = (
        base64.b64encode(hashlib.sha256(part.encode()).digest()).decode() for part in (css, script)
    )
    return (
        f"default-src 'none'; style-src 'sha256-{style}'; script-src 'sha256-{code}'; img-src "
        "data:; base-uri 'none'; form-action 'none'"
    )


def _inline_picture(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def show_metric(metric: Metric) -> str:
    """Return a figure in its unit."""
    if isinstance(metric.value, float) and metric.kind == "plain":
        return text.format_number(metric.value, metric.digits)
    return metric.value if isinstance(metric.value, str) else _KINDS[metric.kind](metric.value)


def _show_together(values: Sequence[float | None], rate: bool = False) -> list[str]:
    """Return numbers that stand beside each other; `rate` says that they are shares."""
    return [text.format_rate(value) for value in values] if rate else text.format_together(values)


def _order_samples(samples: tuple[Sample, ...]) -> list[Sample]:
    """Return samples: wrong ones first, the surest ahead; then right ones, the least sure ahead."""
    wrong = sorted(
        (sample for sample in samples if not sample.correct), key=lambda sample: -sample.confidence
    )
    right = sorted(
        (sample for sample in samples if sample.correct), key=lambda sample: sample.confidence
    )
    return [*wrong[: max(MAX_WRONG, MAX_SAMPLES - len(right))], *right][:MAX_SAMPLES]


def _put_in_order(parts: Mapping[str, T]) -> dict[str, T]:
    """Return datasets or splits in the order of the chain; others follow."""
    return {name: parts[name] for name in (*(name for name in _ORDER if name in parts), *parts)}
