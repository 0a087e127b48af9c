"""Estimates what a run takes, from the first rows of its source and one measured step."""

from flows.kinds import KINDS
from flows.recipe.model import Recipe
from lightning_modules.specs.samples import Sample
from storage.base.errors import StorageError
from storage.forms.registry import find_form
from storage.pipeline.fitted import fit_statistics
from storage.shards.row_ids import LABEL, find_valid
from tasks.drafting.checking import SourceLook
from tasks.forms.describe import describe_sample
from tasks.rendering.text import format_bytes, format_number, format_seconds
from tasks.runtime.errors import TaskError
from tasks.training.step_cost import measure_cost


def estimate_sizes(recipe: Recipe, look: SourceLook) -> dict[str, str]:
    """Return how many rows there are, what they take on disk, and the steps of a training."""
    if not look.rows:
        return {}
    more = "" if look.complete else " or more"
    row_bytes = look.bytes_read / look.rows
    return {
        "rows": f"{format_number(look.rows)}{more}, {format_bytes(row_bytes)} each",
        "disk": f"{format_bytes(2.0 * look.bytes_read)}{more} in the workspace at most",
        "steps": f"{format_number(_count_steps(recipe, look))}{more} optimizer steps at most; a "
        "network fitted at once takes none",
    }


def estimate_training(recipe: Recipe, look: SourceLook) -> dict[str, str]:
    """Return the time and the memory of the training, estimated from a step that is measured here.

    Nothing is returned where no step could be measured in a few seconds.
    """
    if recipe.is_raced:
        return {"time": "a race first, of at most train.budget_minutes: its winner is not known"}
    sample = _guess_sample(recipe, look)
    cost = measure_cost(recipe.model, recipe.train, sample) if sample is not None else None
    if cost is None:
        return {}
    held = "not known" if cost.memory_bytes is None else f"about {format_bytes(cost.memory_bytes)}"
    memory = f"{held} in the training process, an estimate"
    if cost.step_s is None:
        return {"time": "fitted at once, without steps: not estimated", "memory": memory}
    steps = _count_steps(recipe, look)
    total, step = format_seconds(steps * cost.step_s), format_seconds(cost.step_s)
    more = "" if look.complete else ", and more for the rows that were not looked at"
    return {
        "time": f"about {total} of training at most{more}: an estimate, from "
        f"{format_number(steps)} steps of {step}, measured here as processor time",
        "memory": f"{memory}; {format_number(cost.parameters)} parameters",
    }


def _count_steps(recipe: Recipe, look: SourceLook) -> int:
    return max(1, look.rows // recipe.train.batch_size) * recipe.train.max_epochs


def _guess_sample(recipe: Recipe, look: SourceLook) -> Sample | None:
    """Return what a sample is, as if the first rows were those of training; None if they fail."""
    data, rows = recipe.data, look.first
    if LABEL in rows and data.labels:
        known = find_valid(rows, LABEL) & (rows[LABEL] >= 0) & (rows[LABEL] < len(data.labels))
        rows = {name: values[known] for name, values in rows.items()}
    try:
        fitted = fit_statistics([find_form(data).measure(rows, data)], data.labels, {}, 0)
        return describe_sample(KINDS.find(recipe.kind).objective, data, recipe.model, fitted)
    except (TaskError, StorageError):
        return None
