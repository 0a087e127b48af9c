"""Judges the chosen artifacts: what was measured of them becomes the facts of the gate."""

from collections.abc import Mapping

from deployments.targets.specs import TargetSpec
from gates.artifact import ArtifactFacts, judge_artifacts
from gates.engine.report import GateReport
from gates.specs.artifact import ArtifactGate
from storage.base.store import Store, sha256_bytes
from storage.records.models import model_folder
from storage.records.receipts import ArtifactRecord
from tasks.forms.streams import HELD_OUT
from tasks.runtime.model_outcomes import Evaluated
from tasks.runtime.outcomes import Compressed
from tasks.runtime.stage import gate


@gate
def gate_artifact(
    workspace: str,
    evaluated: Evaluated,
    compressed: Compressed,
    limits: ArtifactGate,
    targets: Mapping[str, TargetSpec],
) -> GateReport:
    """Judge the chosen artifacts: the very bytes that would ship, read again from the workspace.

    A channel that gets none is a warning while another one gets something.
    """
    folder = model_folder(Store(workspace), compressed.model_id)
    chosen = [entry for entry in compressed.candidates if entry.chosen_for]
    facts = [
        describe_artifact(evaluated, entry, sha256_bytes(folder.read(entry.file)))
        for entry in chosen
    ]
    own = {
        entry.file: limit_artifact(limits, [targets[name] for name in entry.chosen_for])
        for entry in chosen
    }
    return judge_artifacts(own, facts, compressed.refused)


def describe_artifact(
    evaluated: Evaluated, entry: ArtifactRecord, sha256_to_ship: str
) -> ArtifactFacts:
    """Return what was measured of an artifact as the facts that the gate judges.

    Args:
        evaluated: The float model.
        entry: What the artifact measured.
        sha256_to_ship: Digest of the bytes that would be published.
    """
    is_error = evaluated.score.direction == "lower"
    return ArtifactFacts(
        name=entry.file,
        loaded=entry.find("agreement", HELD_OUT) is not None,
        sha256_judged=entry.sha256,
        sha256_to_ship=sha256_to_ship,
        scored_by="error" if is_error else "accuracy",
        score_float=evaluated.score.value,
        score=entry.find(evaluated.headline, HELD_OUT),
        agreement=entry.find("agreement", HELD_OUT),
        size_bytes=_count_bytes(entry),
        latency_ms_p50=entry.find("latency_ms_p50"),
    )


def limit_channel(limits: ArtifactGate, target: TargetSpec) -> ArtifactGate:
    """Return the limits on a channel's artifact: the gate's, with those of the target in place."""
    own = {"max_size_bytes": target.max_size_bytes, "max_latency_ms_p50": target.max_latency_ms}
    stated = {name: limit for name, limit in own.items() if limit is not None}
    return limits.model_copy(update=stated)


def limit_artifact(limits: ArtifactGate, targets: list[TargetSpec]) -> ArtifactGate:
    """Return the limits on an artifact of several channels: it must hold up on each of them."""
    each = [limit_channel(limits, target) for target in targets]
    strictest = {
        "max_size_bytes": min(one.max_size_bytes for one in each),
        "max_latency_ms_p50": min(one.max_latency_ms_p50 for one in each),
    }
    return limits.model_copy(update=strictest)


def _count_bytes(entry: ArtifactRecord) -> int | None:
    size = entry.find("size_bytes")
    return None if size is None else int(size)
