"""The recipe's `gates` section: the limits of all gates."""

from pydantic import SerializeAsAny

from gates.specs.artifact import ArtifactGate
from gates.specs.batch import BatchGate
from gates.specs.drift import DriftGate
from gates.specs.limits import Limits
from gates.specs.live import LiveGate
from gates.specs.model import ModelLimits
from gates.specs.prepared import PreparedGate
from gates.specs.raw import RawGate


class GatesSpec(Limits):
    """The gates of a recipe, whatever it learns.

    `gates.model.objectives.gates_for_objective` makes the section that goes with an objective.
    """

    raw: RawGate = RawGate()
    """What collected rows must hold before they are prepared."""
    prepared: PreparedGate = PreparedGate()
    """What prepared splits must hold before a model is trained."""
    drift: DriftGate = DriftGate()
    """How far a raw version may be from the last accepted one."""
    model: SerializeAsAny[ModelLimits] = ModelLimits()
    """What a trained model must show on held-out rows; which limits there are depends on the
    kind."""
    artifact: ArtifactGate = ArtifactGate()
    """What the exact bytes of an artifact must show before they are published."""
    live: LiveGate = LiveGate()
    """What rows that come back from the promoted model must hold before anything is decided."""
    batch: BatchGate = BatchGate()
    """What the answers to all rows of a data set must hold before any of them is published."""
