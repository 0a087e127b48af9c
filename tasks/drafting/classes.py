"""What recipes of images have in common: limits by the rows, network and epochs by size."""

from collections.abc import Mapping, Sequence
from typing import Any

from storage.base.redaction import redact
from tasks.drafting.draft import Draft, Sections, assemble
from tasks.drafting.guesses import LIKELY, SURE, UNKNOWN, UNSURE, Notes
from tasks.drafting.limits import choose_shares, limit_small_splits
from tasks.drafting.weights import Weights

KIND = "image-classification"
STEPS = 4500
"""Optimizer steps that a drafted training takes at most, about; few rows are seen more often."""
MOST_EPOCHS, LEAST_EPOCHS = 40, 4
FEW_ROWS, PROBED_ROWS = 300, 1000
_BATCHES = ((FEW_ROWS, 8), (2000, 32), (10_000, 64), (1 << 62, 128))


def draft_images(
    name: str,
    source: Mapping[str, Any],
    image: Mapping[str, Any],
    counts: Mapping[str, int],
    given: Sequence[str],
    notes: Notes,
    reached: float | None = None,
    weights: Weights | None = None,
) -> Draft:
    """Draft a recipe that tells classes of images apart.

    Args:
        name: Its name.
        source: Its source section.
        image: What an image is.
        counts: Rows of each class, in the order of their labels.
        given: Splits that the source gives.
        notes: Takes what was guessed.
        reached: Accuracy of a linear map of a few images' pixels; None where nobody knows.
        weights: What the network starts from; None draws it.
    """
    rows = sum(counts.values())
    shown = [f"{label} ({count})" for label, count in counts.items()]
    notes.add("data.labels", shown[:20], SURE, "classes, and how many images each has")
    split, sizes = _choose_split(rows, given, notes)
    channels, height, width = image["shape"]
    network = _choose_network(rows, height, width, weights)
    notes.add("model.network", network["family"], LIKELY, f"{rows} images of {height} x {width}")
    train = _choose_training(rows, sizes[0], photo=channels == 3, notes=notes)
    if weights is not None:
        why = "given; the last layer is drawn, for it tells other classes"
        notes.add("train.start_from", redact(weights.url), SURE, why)
        train["start_from"] = {"url": weights.url, "fresh": ["fc"]}
    sections = Sections(
        f"{len(counts)} classes of images, drafted from {rows}.",
        source,
        {"image": image, "labels": list(counts), "split": split},
        _limit(counts, sizes, reached, notes),
        {"network": network},
        train,
        ("int8", "fp32"),
        16 if rows < FEW_ROWS else None,
    )
    return assemble(name, KIND, sections, notes)


def _choose_training(rows: int, train_rows: int, *, photo: bool, notes: Notes) -> dict[str, Any]:
    """Return how a network learns: a few thousand steps, whatever the number of rows."""
    batch = next(size for most, size in _BATCHES if rows < most)
    epochs = min(MOST_EPOCHS, max(LEAST_EPOCHS, STEPS * batch // max(1, train_rows)))
    notes.add("train.max_epochs", epochs, LIKELY, f"about {STEPS} steps of {batch} images at most")
    notes.add(
        "train.augmentation",
        "mirrored" if photo else "never mirrored",
        UNSURE,
        "colour pictures mostly are of things that may be mirrored; digits and letters are not",
    )
    changes = {"flip": True, "shift": 0.08, "scale": 0.1} if photo else {"shift": 0.08}
    train: dict[str, Any] = {"max_epochs": epochs, "batch_size": batch, "augmentation": changes}
    return train | ({"select_by": "loss", "optimizer": {"lr": 0.002}} if rows < FEW_ROWS else {})


def _choose_split(
    rows: int, given: Sequence[str], notes: Notes
) -> tuple[dict[str, Any], tuple[int, int, int]]:
    held_out, validation = choose_shares(rows)
    if "held_out" in given:
        notes.add("data.split", "by source", LIKELY, "files or folders say what is held out")
        split = {"by": "source"} | ({} if "validation" in given else {"validation": 0.1})
        # How the source shares them out is not counted here: a sixth is common.
        return split, (rows * 3 // 4, rows // 12, rows // 6)
    notes.add("data.split", "by hash", LIKELY, "nothing says which images are held out")
    sizes = (rows * (1 - held_out) * (1 - validation), rows * (1 - held_out) * validation)
    split = {"by": "hash", "held_out": held_out, "validation": validation}
    return split, (int(sizes[0]), int(sizes[1]), int(rows * held_out))


def _choose_network(rows: int, height: int, width: int, weights: Weights | None) -> dict[str, Any]:
    if weights is not None:
        # Of few pictures a network that goes on learning keeps little of what it knew.
        family = "linear_probe" if rows < PROBED_ROWS else "resnet"
        return {"family": family, "params": dict(weights.params)}
    large = max(height, width) > 40
    if rows < FEW_ROWS and large:
        params = {"blocks": [1, 1, 1], "widths": [8, 16, 32], "stem": "large", "dropout": 0.2}
        return {"family": "resnet", "params": params}
    widths = [16, 32, 64] if rows < 20_000 or not large else [24, 48, 96]
    return {
        "family": "cnn",
        "params": {"widths": widths, "stem_stride": 2 if max(height, width) > 20 else 1},
    }


def _limit(
    counts: Mapping[str, int],
    sizes: tuple[int, int, int],
    reached: float | None,
    notes: Notes,
) -> dict[str, Any]:
    rows = sum(counts.values())
    majority = max(counts.values()) / rows
    raw: dict[str, Any] = {}
    if rows < 125:
        raw["min_rows"] = max(1, int(rows * 0.8))
        notes.add("gates.raw", f"min_rows {raw['min_rows']}", UNSURE, f"{rows} images are few")
    balance = min(counts.values()) * len(counts) / rows
    if balance < 0.25:
        raw["min_class_balance"] = round(balance / 2, 4)
        rarest = min(counts, key=lambda label: counts[label])
        why = f"{rarest} has {counts[rarest]} images only"
        notes.add("gates.raw", f"min_class_balance {raw['min_class_balance']}", LIKELY, why)
    if majority * len(counts) > 4.5:
        raw["max_class_balance"] = round(majority * len(counts) * 1.3, 1)
    floor = round(max(majority + 0.1, reached or 0.0), 2)
    why = "more than the commonest class alone; set it to what the task needs"
    if reached is not None:
        why = (
            f"a linear map of a few images' pixels reaches {reached:.2f}; set it to what is needed"
        )
    notes.add("gates.model", f"min_accuracy {floor}", UNKNOWN if reached is None else UNSURE, why)
    model: dict[str, Any] = {"min_accuracy": floor}
    if rows < FEW_ROWS:
        model |= {"min_slice_rows": 3, "max_calibration_error": 0.4}
        model["min_accuracy_lower_bound"] = round(majority + 0.05, 2)
        why = "so few held-out images can be right by luck: the interval's lower end must hold"
        notes.add("gates.model", "min_accuracy_lower_bound", LIKELY, why)
    return {"raw": raw, "prepared": limit_small_splits(sizes), "model": model}
