"""Says of a field that changed what it was and is, and where in its range the change lies."""

from itertools import pairwise

from gates.drift.divergence import Histogram
from gates.drift.fields import Distribution

_TENTHS = 10
_MOST_NAMED = 3


def explain_change(accepted: Distribution, current: Distribution) -> dict[str, str]:
    """Return what a person should know of each figure of a field, before -> after."""
    if isinstance(accepted, Histogram) and isinstance(current, Histogram):
        if not accepted.total or not current.total:
            return {}
        whole = _explain_whole(accepted, current)
        same = accepted.edges == current.edges
        cells = _explain_cells(accepted, current) if same else {}
        return {"effect": whole, "psi": whole, **cells}
    if isinstance(accepted, dict) and isinstance(current, dict):
        shares = _explain_categories(accepted, current)
        names = sorted(set(current) - set(accepted), key=current.__getitem__, reverse=True)
        unseen = f"never seen: {', '.join(map(repr, names[:_MOST_NAMED]))}" if names else ""
        return {"effect": shares, "psi": shares, "ratio": shares, "unseen": unseen}
    return {}


def _explain_whole(accepted: Histogram, current: Histogram) -> str:
    """Return both medians, and the tenth of the accepted values whose share changed most."""
    medians = [found.find_quantile(0.5) for found in (accepted, current)]
    cuts = sorted({accepted.find_quantile(place / _TENTHS) for place in range(1, _TENTHS)})
    parts = [None, *cuts, None]
    shares = [[0.0, *found.find_shares(cuts).tolist(), 1.0] for found in (accepted, current)]
    before, after = ([high - low for low, high in pairwise(found)] for found in shares)
    most = max(range(len(before)), key=lambda place: abs(after[place] - before[place]))
    low, high = parts[most], parts[most + 1]
    where = f"below {high:.4g}" if low is None and high is not None else f"from {low:.4g}"
    where += f" to {high:.4g}" if low is not None and high is not None else ""
    return (
        f"median {medians[0]:.4g} -> {medians[1]:.4g}, most of it {where}: "
        f"{before[most]:.1%} -> {after[most]:.1%} of the values"
    )


def _explain_cells(accepted: Histogram, current: Histogram) -> dict[str, str]:
    """Return the narrow range whose share rose most, of all and of the rare, and what lies far."""
    before = [count / max(1, accepted.total) for count in accepted.counts]
    after = [count / max(1, current.total) for count in current.counts]
    rises = [new - old for old, new in zip(before, after, strict=True)]
    rare = [
        rise if new >= 4 * old else 0.0 for rise, old, new in zip(rises, before, after, strict=True)
    ]

    def tell(values: list[float]) -> str:
        most = max(range(len(values)), key=values.__getitem__)
        where = _name_range(accepted.edges, most, most)
        return f"{where}: {before[most]:.2%} -> {after[most]:.2%} of the values"

    ranges = []
    for counts in (accepted.counts, current.counts):
        filled = [place for place, count in enumerate(counts) if count]
        ranges.append(_name_range(accepted.edges, filled[0], filled[-1]))
    far = f"values {ranges[0]} -> {ranges[1]}"
    return {"spike": tell(rises), "novelty": tell(rare), "far": far}


def _name_range(edges: tuple[float, ...], first: int, last: int) -> str:
    """Return where cells lie; the outermost two reach further than any number says."""
    low, high = f"{edges[first]:.4g}", f"{edges[last + 1]:.4g}"
    if first == 0:
        return f"below {edges[1]:.4g}" if last == 0 else f"from below {edges[1]:.4g} to {high}"
    if last == len(edges) - 2:
        above = f"above {edges[-2]:.4g}"
        return above if first == last else f"from {low} to {above}"
    return f"from {low} to {high}"


def _explain_categories(accepted: dict[str, int], current: dict[str, int]) -> str:
    """Return the categories whose shares changed most, before -> after."""
    totals = [max(1, sum(found.values())) for found in (accepted, current)]
    shares = {
        name: (accepted.get(name, 0) / totals[0], current.get(name, 0) / totals[1])
        for name in {**accepted, **current}
    }
    most = sorted(shares, key=lambda name: -abs(shares[name][1] - shares[name][0]))
    return ", ".join(
        f"{name!r} {shares[name][0]:.2%} -> {shares[name][1]:.2%}" for name in most[:_MOST_NAMED]
    )
