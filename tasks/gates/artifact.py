"""The artifact gate's stage: the chosen artifacts, as the facts that the gate judges."""

from gates.artifact import ArtifactFacts, judge_artifacts
from gates.engine.report import GateReport
from gates.specs.artifact import ArtifactGate
from lightning_modules.specs.objectives import find_direction
from storage.base.store import Store, sha256_bytes
from storage.records.models import model_folder
from storage.records.receipts import ArtifactRecord
from tasks.forms.streams import HELD_OUT
from tasks.runtime.outcomes import Compressed, Evaluated
from tasks.runtime.stage import gate


@gate
def gate_artifact(
    workspace: str, evaluated: Evaluated, compressed: Compressed, limits: ArtifactGate
) -> GateReport:
    """Judge the chosen artifacts: the very bytes that would ship, read again from the workspace."""
    folder = model_folder(Store(workspace), compressed.model_id)
    name = evaluated.headline
    is_error = find_direction(name) == "lower"
    score = evaluated.metrics[name]
    facts = [
        ArtifactFacts(
            name=entry.file,
            loaded=entry.find("agreement", HELD_OUT) is not None,
            sha256_judged=entry.sha256,
            sha256_to_ship=sha256_bytes(folder.read(entry.file)),
            scored_by="error" if is_error else "accuracy",
            accuracy_float=None if is_error else score,
            accuracy=None if is_error else entry.find(name, HELD_OUT),
            error_float=score if is_error else None,
            error=entry.find(name, HELD_OUT) if is_error else None,
            agreement=entry.find("agreement", HELD_OUT),
            size_bytes=_count_bytes(entry),
            latency_ms_p50=entry.find("latency_ms_p50"),
        )
        for entry in compressed.candidates
        if entry.chosen_for
    ]
    return judge_artifacts(limits, facts)


def _count_bytes(entry: ArtifactRecord) -> int | None:
    size = entry.find("size_bytes")
    return None if size is None else int(size)
