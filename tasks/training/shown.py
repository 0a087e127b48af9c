"""Shows a training while it goes on: steps to Prefect, epochs to whoever watches, and the ETA."""

from lightning_modules.specs.figures import FigureSpec
from tasks.runtime.pace import Pace
from tasks.runtime.progress import current_progress
from tasks.runtime.progress_artifact import ProgressArtifact

STAGE = "train"


class ShownTraining:
    """Takes the records of a training's metric log, and hands them on.

    Args:
        max_epochs: The most epochs that it takes.
        watched: The figure that its epochs are watched by.
    """

    def __init__(self, max_epochs: int, watched: FigureSpec) -> None:
        self._max_epochs = max_epochs
        self._watched = watched
        self._artifact = ProgressArtifact(f"lepton-{STAGE}-progress")
        self._by_step, self._by_epoch = Pace(), Pace()

    def show(self, record: dict[str, object]) -> None:
        """Hands on a step or an epoch; the start of an attempt counts for the pace alone."""
        step, steps, epoch = (record.get(name) for name in ("step", "steps", "epoch"))
        if isinstance(step, int) and isinstance(steps, int):
            left = self._by_step.tell_left(step, steps)
            self._artifact.show(step, max(steps, 1), _join(f"step {step} of {steps}", left))
        if record.get("event") == "start":
            self._by_epoch.tell_left(0, self._max_epochs)
        if record.get("event") == "epoch" and isinstance(epoch, int):
            left = self._by_epoch.tell_left(epoch + 1, self._max_epochs)
            note = _join(self._tell_figure(record), left)
            current_progress().advance(STAGE, epoch + 1, self._max_epochs, note)
            self._artifact.show(epoch + 1, self._max_epochs, note)

    def _tell_figure(self, record: dict[str, object]) -> str:
        value = record.get(f"validation_{self._watched.name}")
        if not isinstance(value, float):
            return ""
        seen = f"{value:.4g}" if self._watched.power else f"{value:.2%}"
        return f"validation {self._watched.name.replace('_', ' ')} {seen}"


def _join(*parts: str) -> str:
    return ", ".join(part for part in parts if part)
