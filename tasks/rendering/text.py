"""Numbers and untrusted strings as a person reads them; nothing here escapes markup."""

import math
import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import pairwise

from pydantic import JsonValue

from storage.base.figures import Figure

MAX_TEXT = 2_000
_FIGURES = {
    "mae": "MAE",
    "mse": "MSE",
    "rmse": "RMSE",
    "macro_f1": "macro F1",
    "auroc": "ROC AUC",
    "macro_auroc": "macro ROC AUC",
}
_MAX_ITEMS = 8
_MAX_VALUE = 160
_DIGEST_SHOWN = 12
_HEX = re.compile(r"[0-9a-f]{24,}", re.IGNORECASE)


def clean_text(value: object) -> object:
    """Return a string that can be shown: what cannot be seen becomes U+FFFD, the rest is cut.

    Control characters and bidirectional overrides (Unicode categories Cc, Cf and Cs) could hide or
    reorder what a person reads (Boucher and Anderson, "Trojan Source", 2021). Values that are no
    strings are returned as they are.
    """
    if not isinstance(value, str):
        return value
    shown = "".join(_clean_character(character) for character in value[: MAX_TEXT + 1])
    return shown if len(shown) <= MAX_TEXT else shown[: MAX_TEXT - 1] + "…"


def _clean_character(character: str) -> str:
    if character in "\n\t":
        return " "
    return (
        "\N{REPLACEMENT CHARACTER}"
        if unicodedata.category(character) in {"Cc", "Cf", "Cs"}
        else character
    )


def clean_value(value: object) -> object:
    """Return plain JSON data with every string and key in it cleaned."""
    if isinstance(value, Mapping):
        return {str(clean_text(str(key))): clean_value(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [clean_value(item) for item in value]
    return clean_text(value)


def is_finite(value: object) -> bool:
    """Return whether a value can be drawn: no truth value, no NaN, no infinity, no overflow."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(float(value))
    except OverflowError:
        return False


def format_number(value: float | None, digits: int = 4) -> str:
    """Return a number with so many significant digits: 1,797 or 0.04215, never 1.235e+04.

    Whole digits before the point are all shown, thousands apart.
    """
    return _format_number(value, digits).replace("-", "\N{MINUS SIGN}")


def _format_number(value: float | None, digits: int) -> str:
    if value is None:
        return "\N{EN DASH}"
    if not is_finite(value):
        return str(value)
    if isinstance(value, int) or (float(value).is_integer() and abs(value) < 1e15):
        return f"{int(value):,}"
    if 10.0**digits <= abs(value) < 1e9:
        return f"{value:,.0f}"
    return f"{value:,.{digits}g}" if 1e-4 <= abs(value) < 1e9 else f"{value:.{digits}g}"


def count_digits(values: Sequence[float | None]) -> int:
    """Return how many digits numbers have that are read beside each other.

    3, or up to 6 where they look alike.
    """
    known = {value for value in values if value is not None}
    for digits in range(3, 6):
        if len({format_number(value, digits) for value in known}) == len(known):
            return digits
    return 6


def format_together(values: Sequence[float | None]) -> list[str]:
    """Return numbers that are read beside each other, with `count_digits` of them."""
    return [format_number(value, count_digits(values)) for value in values]


def format_rate(value: float | None) -> str:
    """Return a fraction of 0 to 1 as a percentage with two decimals."""
    if value is None or not is_finite(value):
        return format_number(value)
    shown = f"{100 * value:.2f}"
    if value < 1 and shown == "100.00":
        shown = "99.99"  # all but a few must not read as all
    return f"{shown} %"


def show_figure(figure: Figure, digits: int = 4) -> str:
    """Return a figure's value in a few characters: rates as percentages, others as they are."""
    if figure.unit in _UNITS:
        return _UNITS[figure.unit](figure.value)
    return format_number(figure.value, digits)


def name_figure(name: str) -> str:
    """Return a figure's name as people write it: MAE, ROC AUC, MAE of the first 3 steps."""
    name, _, steps = name.partition("_first_")
    found = _FIGURES.get(name, name.replace("_", " "))
    if not steps:
        return found
    return f"{found} of the first step" if steps == "1" else f"{found} of the first {steps} steps"


def format_bytes(value: float | None) -> str:
    """Return a size in bytes, decimal units (IEC 80000-13)."""
    if value is None or not is_finite(value):
        return format_number(value)
    size = float(value)
    for unit in ("B", "kB", "MB", "GB"):
        if abs(size) < 999.5:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:,.3g} TB"


def format_seconds(value: float | None) -> str:
    """Return a duration given in seconds: 42 ms, 8.3 s, 2 min 05 s, 1 h 04 min."""
    if value is None or not is_finite(value) or value < 0:
        return format_number(value)
    if value < 0.9995:
        return f"{1000 * value:.0f} ms"
    if value < 59.95:
        return f"{value:.1f} s"
    minutes, seconds = divmod(round(value), 60)
    if minutes < 60:
        return f"{minutes} min {seconds:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def format_milliseconds(value: float | None) -> str:
    """Return a duration given in milliseconds."""
    if value is None or not is_finite(value):
        return format_number(value)
    if value == 0 or value >= 1:
        return f"{value:,.3g} ms" if value < 1000 else f"{value:,.0f} ms"
    return f"{1000 * value:.3g} µs"


def format_moment(moment: datetime) -> str:
    """Return a date and time to the minute with its zone: 21 November 2026, 05:30 UTC."""
    return f"{moment.day} {moment:%B %Y, %H:%M} {moment:%Z}".rstrip()


def format_minute(moment: datetime) -> str:
    """Return a date and time to the minute for a table, in UTC: 2026-11-21 05:30."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M}"


def shorten_digest(digest: str) -> str:
    """Return the first digits of a digest; anything else is returned whole."""
    return f"{digest[:_DIGEST_SHOWN]}…" if _HEX.fullmatch(digest) else digest


def show_value(value: JsonValue) -> str:
    """Return plain JSON data in words: short, long lists cut."""
    shown = _show(value)
    return shown if len(shown) <= _MAX_VALUE else shown[: _MAX_VALUE - 1] + "…"


def _show(value: JsonValue) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return format_number(value, 6)
    if isinstance(value, str):
        return shorten_digest(value)
    if isinstance(value, list) and _is_run(value):
        return f"{_show(value[0])}, {_show(value[1])}, … {_show(value[-1])}"
    if isinstance(value, list):
        shown = [_show(item) for item in value[:_MAX_ITEMS]]
        more = [f"and {len(value) - _MAX_ITEMS} more"] if len(value) > _MAX_ITEMS else []
        return ", ".join(shown + more) or "none"
    return (
        ", ".join(f"{key} {_show(item)}" for key, item in list(value.items())[:_MAX_ITEMS])
        or "none"
    )


def _is_run(values: list[JsonValue]) -> bool:
    """Return whether values are five or more integers, each one more than the last."""
    numbers = [value for value in values if isinstance(value, int) and not isinstance(value, bool)]
    return len(numbers) == len(values) >= 5 and all(b - a == 1 for a, b in pairwise(numbers))


def show_observed(observed: JsonValue, limit: JsonValue = None) -> str:
    """Return a check's observation in words, such as `3 of 1,797, such as 12, 99`.

    A number has three digits, or as many more as tell on which side of its limit it lies.
    """
    if isinstance(observed, float) and is_finite(observed):
        return _show_beside(observed, list(_list_numbers(limit)))
    if not isinstance(observed, dict) or not {"unexpected", "of"} <= observed.keys():
        return show_value(observed)
    examples = f", such as {show_value(observed['examples'])}" if observed.get("examples") else ""
    if observed["unexpected"] == 0:
        return f"none of {show_value(observed['of'])}"
    return f"{show_value(observed['unexpected'])} of {show_value(observed['of'])}{examples}"


def _show_beside(value: float, others: Sequence[float]) -> str:
    for digits in range(3, 10):
        rounded = float(f"{value:.{digits}g}")
        if all(
            (rounded > other) - (rounded < other) == (value > other) - (value < other)
            for other in others
        ):
            return format_number(value, digits)
    return format_number(value, 10)


def _list_numbers(limit: JsonValue) -> Iterator[float]:
    """Yield the numbers of a limit."""
    for value in limit.values() if isinstance(limit, dict) else ():
        if isinstance(value, int | float) and is_finite(value):
            yield float(value)


def show_limit(limit: JsonValue) -> str:
    """Return a check's limit in words: `0 to 16`, `at least 0.97`, `in 0, 1, 2`."""
    if not isinstance(limit, dict):
        return show_value(limit)
    rest = dict(limit)
    words = _show_range(rest)
    if "value_set" in rest:
        words.append(f"in {show_value(rest.pop('value_set'))}")
    if "value" in rest:
        words.append(f"exactly {show_value(rest.pop('value'))}")
    words += [f"{key.replace('_', ' ')} {show_value(value)}" for key, value in rest.items()]
    return ", ".join(words) or "none allowed"


def _show_range(rest: dict[str, JsonValue]) -> list[str]:
    """Take the ends of a range out of a limit, and return them in words."""
    low, high = rest.pop("min_value", None), rest.pop("max_value", None)
    strict_low, strict_high = rest.pop("strict_min", False), rest.pop("strict_max", False)
    if low is not None and high is not None and low == high:
        return [f"exactly {show_value(low)}"]
    if low is not None and high is not None and not (strict_low or strict_high):
        return [f"{show_value(low)} to {show_value(high)}"]
    words = []
    if low is not None:
        words.append(f"{'above' if strict_low else 'at least'} {show_value(low)}")
    if high is not None:
        words.append(f"{'below' if strict_high else 'at most'} {show_value(high)}")
    return words


def show_rule(rule: str) -> str:
    """Return an expectation's type in words, such as `column max to be between`."""
    return rule.removeprefix("expect_").replace("_", " ")


_UNITS: dict[str, Callable[[float | None], str]] = {
    "1": format_rate,
    "s": format_seconds,
    "ms": format_milliseconds,
    "bytes": format_bytes,
}
"""How the values of units are written that need more than a number."""
