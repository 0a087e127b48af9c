"""Says what windows of series can be asked to show, by what a quick race over them showed."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.drafting.guesses import LIKELY, UNKNOWN, UNSURE, Notes
from tasks.drafting.limits import (
    allow_classifier,
    floor_share,
    round_down,
    round_up,
)
from tasks.drafting.window_race import LEARNED, LINEAR, WindowRace

MARGIN = 0.03
"""Share of answers by which a network may fall behind what the quick race reached."""
LUCK = 2.0
"""By how much a network may be behind the baseline that is best in a group, at least."""
SKILL = 0.05
"""By how much it may be worse than the linear baseline, of all groups together."""


def limit_windows(raced: WindowRace, judged: NDArray[np.int64], notes: Notes) -> dict[str, Any]:
    """Return the limits of the model gate.

    Args:
        raced: What the race showed.
        judged: What belongs together, of each held-out window, (N,).
        notes: Takes what was guessed.
    """
    if not raced.proven:
        why = "nothing quick is surely better than always the same answer, so the gate will stop "
        why += "the model: give columns that say more of the answer, or another --target"
        notes.add("gates.model", "left as they are", UNKNOWN, why)
        return {}
    limits = _limit_classes(raced, judged, notes) if raced.recalls else _limit_values(raced, notes)
    return limits | _limit_skill(raced, judged, notes)


def _limit_classes(raced: WindowRace, judged: NDArray[np.int64], notes: Notes) -> dict[str, Any]:
    accuracy = max(raced.figures.values())
    groups = len(np.unique(judged))
    # Windows of one group are right or wrong together, more or less: they do not count as many.
    floor = floor_share(accuracy, raced.groups * 4, groups * 4) - MARGIN
    limits: dict[str, Any] = {"min_accuracy": max(0.0, round_down(floor))}
    why = f"{accuracy:.1%} were right in a quick race on training windows, groups left out whole"
    notes.add("gates.model", f"min_accuracy {limits['min_accuracy']}", LIKELY, why)
    if accuracy - raced.base < 0.15:
        limits["min_gain_over_majority"] = max(0.0, round_down((accuracy - raced.base) / 2, 1))
        why = f"the commonest class alone is {raced.base:.1%} of the windows"
        shown = f"min_gain_over_majority {limits['min_gain_over_majority']}"
        notes.add("gates.model", shown, LIKELY, why)
    if (least := min(raced.recalls)) < 0.75:
        limits["min_slice_accuracy"] = max(0.0, round_down(least * 0.5, 1))
        why = f"of the class that is hardest {least:.0%} were found"
        notes.add("gates.model", f"min_slice_accuracy {limits['min_slice_accuracy']}", UNSURE, why)
    else:
        limits["min_slice_accuracy"] = 0.3
        why = "an entity alone may be odd, and few windows of it judge"
        notes.add("gates.model", "min_slice_accuracy 0.3", UNSURE, why)
    return limits


def _limit_values(raced: WindowRace, notes: Notes) -> dict[str, Any]:
    error = min(raced.figures.values())
    limits: dict[str, Any] = {"max_mae": round_up(min(error * 1.4, raced.base))}
    why = f"a quick race erred by {error:.4g} on training windows, groups left out whole; their "
    why += f"mean by {raced.base:.4g}"
    notes.add("gates.model", f"max_mae {limits['max_mae']}", LIKELY, why)
    # Of one group a baseline may be right by luck, and its error near 0: no bound on what it is
    # beaten by holds there. That most groups are answered better is asked by the share instead.
    limits["min_slice_skill"] = -round_up(max(LUCK, -3 * raced.worst), 1)
    limits["max_worse_slices"] = 0.5
    why = f"in one group the quick race was behind what is best there by {-raced.worst:.2g}: lives "
    why += "differ, and a mean may be right for one of them"
    shown = [f"{limit} {limits[limit]}" for limit in ("min_slice_skill", "max_worse_slices")]
    notes.add("gates.model", shown, UNSURE, why)
    return limits


def _limit_skill(raced: WindowRace, judged: NDArray[np.int64], notes: Notes) -> dict[str, Any]:
    """Return how much better than the best baseline the model must be, as groups can show it."""
    groups = len(np.unique(judged))
    end = raced.better - 2 * raced.spread * np.sqrt(raced.groups / max(1, groups))
    if raced.winner == LEARNED and end > 0.1:
        return {}
    if raced.recalls:
        limits = allow_classifier(raced.figures[LINEAR], raced.windows, len(judged))
    else:
        # Two networks that are as good differ by more from life to life than from row to row.
        end = -round_up(SKILL + 1.5 / np.sqrt(max(1, groups)), 1)
        limits = {"min_skill": -SKILL, "min_skill_lower_bound": end}
    why = f"{groups} held-out groups are few to show a skill over the linear baseline, which may "
    why += "win the race itself"
    notes.add("gates.model", [f"{name} {value}" for name, value in limits.items()], UNSURE, why)
    return limits
