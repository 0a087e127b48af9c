"""Judges the chosen artifacts: what was measured of them becomes the facts of the gate."""

from collections.abc import Mapping
from types import MappingProxyType

from deployments.targets.specs import DeviceClass, TargetSpec
from gates.artifact import ArtifactFacts, judge_artifacts
from gates.engine.report import GateReport
from gates.specs.artifact import ArtifactGate
from storage.base.figures import find_value
from storage.base.store import Store, sha256_bytes
from storage.records.models import model_folder
from storage.records.receipts import ArtifactRecord
from tasks.forms.streams import HELD_OUT
from tasks.gates.device_classes import ClassDemands, ClassKey, limit_all, list_demands
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
    device_classes: Mapping[str, DeviceClass] = MappingProxyType({}),
) -> GateReport:
    """Judge the chosen artifacts: the very bytes that would ship, read again from the workspace.

    Each is judged once for every class of devices that it was chosen for. A channel that gets none
    is a warning while another one gets something.
    """
    folder = model_folder(Store(workspace), compressed.model_id)
    facts: list[ArtifactFacts] = []
    own: dict[str, ArtifactGate] = {}
    for entry in compressed.candidates:
        if not entry.chosen_for:
            continue
        shipped = sha256_bytes(folder.read(entry.file))
        asked: dict[ClassKey, list[ClassDemands]] = {}
        for channel in entry.chosen_for:
            for demands in list_demands(targets[channel], device_classes, limits):
                asked.setdefault(demands.key, []).append(demands)
        for each in asked.values():
            facts.append(describe_artifact(evaluated, entry, shipped, each[0]))
            own[facts[-1].name] = limit_all([demands.limits for demands in each])
    return judge_artifacts(own, facts, compressed.refused)


def describe_artifact(
    evaluated: Evaluated, entry: ArtifactRecord, sha256_to_ship: str, asked: ClassDemands
) -> ArtifactFacts:
    """Return what was measured of an artifact as the facts that the gate judges.

    Args:
        evaluated: The float model.
        entry: What the artifact measured.
        sha256_to_ship: Digest of the bytes that would be published.
        asked: The class of devices that it is judged for.
    """
    is_error = evaluated.score.direction == "lower"
    return ArtifactFacts(
        name=f"{entry.file}{asked.title}",
        loaded=entry.find("agreement", HELD_OUT) is not None,
        sha256_judged=entry.sha256,
        sha256_to_ship=sha256_to_ship,
        scored_by="error" if is_error else "accuracy",
        score_float=evaluated.score.value,
        score=entry.find(evaluated.headline, HELD_OUT),
        agreement=entry.find("agreement", HELD_OUT),
        size_bytes=_count_bytes(entry),
        latency_ms_p50=_find_latency(entry, asked),
    )


def _find_latency(entry: ArtifactRecord, asked: ClassDemands) -> float | None:
    """Return the median time of an answer on a class; None, which never passes, without one."""
    if not asked.title:
        return entry.find("latency_ms_p50")
    cost = entry.find_class(*asked.key)
    return None if cost is None else find_value(cost.figures, "latency_ms_p50")


def _count_bytes(entry: ArtifactRecord) -> int | None:
    size = entry.find("size_bytes")
    return None if size is None else int(size)
