"""What a retraining changes in a recipe: old and new rows together, from the champion's weights."""

from collections.abc import Mapping
from typing import Any

from flows.recipe.model import Recipe
from storage.records.receipts import DatasetRecord
from storage.sources.joined import JoinedSource
from tasks.feedback.joining import Join

ON_DRIFT = "gates.drift.on_fail"
JOINED = JoinedSource.model_fields["type"].default


def derive_overrides(
    recipe: Recipe, workspace: str, dataset: DatasetRecord, champion: str, join: Join
) -> dict[str, Any]:
    """Return values to put over a recipe, by dotted path.

    What the drift gate finds is told and stops nothing: it is why the model is trained again.

    Args:
        recipe: The recipe.
        workspace: Folder or URL of the workspace that the dataset is in.
        dataset: The feedback version.
        champion: Id of the model that is to be replaced.
        join: How the rows are joined.
    """
    source = recipe.source
    first = source.first if isinstance(source, JoinedSource) else source
    changes: dict[str, Any] = {
        "source": {
            "type": "joined",
            "first": first.model_dump(),
            "dataset": {"workspace": workspace, "name": dataset.name, "digest": dataset.digest},
            "after": join.after,
        },
        ON_DRIFT: {"*": "warn"},
    }
    if join.is_warm:
        changes["train.start_from"] = {"model": champion}
    if join.cutoffs is not None:
        changes |= {
            "data.split.validation_from": join.cutoffs.validation_from,
            "data.split.held_out_from": join.cutoffs.held_out_from,
            "data.split.held_out": None,
            "data.split.end": None,
        }
        if recipe.data.split.time_zone is not None:
            changes["data.split.time_zone"] = None  # The new ones are UTC.
    return changes


def restore_limits(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return what makes the limits of a retrained model's recipe stop again, by dotted path.

    Args:
        document: The recipe as plain data; of one that is no retraining's nothing is changed.
    """
    return {ON_DRIFT: {}} if document["source"]["type"] == JOINED else {}
