"""What devices measured: the figures by which a class's next release goes."""

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field

from deployments.targets.errors import TargetError
from deployments.targets.run.device_figures import (
    UPLINKS,
    ArtifactFigures,
    DeviceFigures,
    is_figures_file,
    open_figures,
)
from deployments.targets.run.measure import Measurement
from deployments.targets.trust.keys import KeyRing
from storage.base.errors import StorageError
from storage.base.figures import find_value
from storage.base.store import Store
from storage.records.receipt_files import read_receipt
from storage.records.receipts import Receipt
from tasks.gates.device_classes import ClassDemands
from tasks.release.costs import ClassCost, slow_down, take_largest

logger = logging.getLogger(__name__)
MOST_MS = 1e9
"""Longest that one answer is believed to take: twelve days."""


@dataclass(frozen=True)
class Told:
    """What one device measured of one candidate.

    Attributes:
        device: Its id.
        device_class: Its class.
        figures: All that it measured then.
        artifact: What it measured of this candidate.
        here_ms: What the machine that made these bytes took for them, median; None where it is
            not known.
    """

    device: str
    device_class: str
    figures: DeviceFigures
    artifact: ArtifactFigures
    here_ms: float | None


@dataclass(frozen=True)
class DeviceBook:
    """What all devices measured, of the same bytes the newest of each alone.

    Attributes:
        told: One entry a device and candidate.
    """

    told: tuple[Told, ...] = field(default=())

    def find_cost(self, asked: ClassDemands, name: str, here: Measurement) -> ClassCost:
        """Return what a candidate costs on a class of devices.

        A device's figures of the very bytes come first; then this machine's, slowed as a device of
        the class measured last of another release's candidate of that name; then as the recipe
        declares. Of several devices the slowest counts, figure by figure.

        Args:
            asked: The class.
            name: Of the candidate.
            here: What it costs on this machine, in the class's threads.
        """
        told = [each for each in self.told if self._is_of(each, asked)]
        exact = [each for each in told if each.artifact.measured.sha256 == here.sha256]
        if exact:
            slowest = max(exact, key=lambda each: each.artifact.measured.latency_ms_p50)
            largest = take_largest([each.artifact.measured for each in exact])
            return ClassCost(largest, None, slowest.device)
        alike = {
            each.device: each.artifact.measured.latency_ms_p50 / each.here_ms
            for each in sorted(told, key=lambda each: each.figures.at)
            if each.artifact.name == name and each.here_ms
        }
        if alike:
            device = max(alike, key=lambda each: alike[each])
            return ClassCost(slow_down(here, alike[device]), alike[device], device)
        slowdown = asked.device.slowdown
        return ClassCost(slow_down(here, slowdown), slowdown)

    @staticmethod
    def _is_of(told: Told, asked: ClassDemands) -> bool:
        return (told.device_class, told.figures.threads) == asked.key


NO_FIGURES = DeviceBook()


def read_device_book(workspace: Store, ring: KeyRing | None = None) -> DeviceBook:
    """Read what devices measured; what cannot be trusted is left out, with a warning.

    Args:
        workspace: The workspace.
        ring: The keys that are trusted; None: those of the config directory.
    """
    newest: dict[tuple[str, str, str, int], Told] = {}
    receipts: dict[str, Receipt | None] = {}
    for figures, device_class in _read_all(workspace, ring or KeyRing()):
        if figures.receipt not in receipts:
            receipts[figures.receipt] = _find_receipt(workspace, figures.receipt)
        for artifact in figures.artifacts:
            if not 0 < artifact.measured.latency_ms_p50 <= MOST_MS:
                continue  # A clock that stands still says nothing.
            here_ms = _find_here(receipts[figures.receipt], artifact, figures.threads)
            told = Told(figures.device, device_class, figures, artifact, here_ms)
            key = (figures.device, artifact.name, artifact.measured.sha256, figures.threads)
            if key not in newest or newest[key].figures.at < figures.at:
                newest[key] = told
    return DeviceBook(tuple(newest.values()))


def _read_all(workspace: Store, ring: KeyRing) -> Iterable[tuple[DeviceFigures, str]]:
    for path in workspace.list(UPLINKS):
        name = path.removeprefix(f"{UPLINKS}/")
        if not is_figures_file(name):
            continue
        try:
            figures, device = open_figures(workspace.read(path), workspace, ring)
        except (TargetError, StorageError) as error:
            logger.warning("Figures %s are left out: %s", name, error)
            continue
        yield figures, device.device_class


def _find_receipt(workspace: Store, receipt_id: str) -> Receipt | None:
    try:
        return read_receipt(workspace, receipt_id).receipt
    except StorageError:
        return None


def _find_here(receipt: Receipt | None, artifact: ArtifactFigures, threads: int) -> float | None:
    """Return the median time of the same bytes on the machine that made them."""
    for entry in receipt.artifacts if receipt is not None else ():
        if entry.sha256 != artifact.measured.sha256:
            continue
        if threads == 1:
            return entry.find("latency_ms_p50")
        for cost in entry.classes:
            slowed = find_value(cost.figures, "latency_ms_p50")
            if cost.threads == threads and cost.slowdown and slowed is not None:
                return slowed / cost.slowdown
    return None
