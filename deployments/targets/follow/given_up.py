"""The release that did not hold on this machine, which is not tried again and again.

<cache>/channels/<digest of the address>/given-up.json: the release, and why; written where a model
answered worse than the one before it, for its self-test would not find that after a restart.
"""

import logging

from pydantic import BaseModel, ConfigDict, ValidationError

from deployments.targets.errors import TargetError
from deployments.targets.follow.state import FollowerState
from deployments.targets.trust.key_files import read_public, replace_private
from deployments.targets.trust.release import Release

logger = logging.getLogger(__name__)
_FILE = "given-up.json"


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    release: Release
    reason: str


class GivenUp:
    """The release that was given up last; another one is tried.

    Args:
        state: What is remembered of the channel.
    """

    def __init__(self, state: FollowerState) -> None:
        self._state = state
        self._record = self._read()

    def find(self, release: Release) -> str | None:
        """Return why a release was given up; None: it was not."""
        record = self._record
        return record.reason if record is not None and record.release == release else None

    def note(self, release: Release, reason: str) -> None:
        """Notes, until the process ends, that a release did not hold."""
        self._record = _Record(release=release, reason=reason)

    def keep(self, goes_on: Release) -> None:
        """Writes down what was noted, and lets the slot of a release answer after a restart.

        Args:
            goes_on: The release that answers instead.
        """
        record = self._record
        if record is None:
            return
        try:
            with self._state.locked():
                data = record.model_dump_json().encode()
                replace_private(self._state.directory / _FILE, data)
                slot = self._state.read_slots().find(goes_on)
                if slot is not None:
                    self._state.switch(slot)
        except (TargetError, OSError):
            logger.exception("%s is given up only until this process ends", record.release.title)

    def _read(self) -> _Record | None:
        try:
            data = read_public(self._state.directory / _FILE)
            return None if data is None else _Record.model_validate_json(data)
        except (ValidationError, TargetError, OSError):
            return None
