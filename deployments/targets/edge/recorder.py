"""Recording what an agent answers, and what it is told was true, in its spool."""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
from pydantic import ValidationError

from deployments.targets.edge.policy import KeepPolicy
from deployments.targets.edge.spool import Spool
from deployments.targets.edge.spool_rows import SpoolRow
from deployments.targets.run.live import LiveModel
from deployments.targets.run.runtime import Answers, Array
from deployments.targets.serve.recorder import Truth
from deployments.targets.specs import Records
from deployments.targets.trust.privacy import find_least, read_privacy
from deployments.targets.trust.uplink import UplinkRecord
from storage.base.errors import InvalidInput, StorageError
from storage.base.store import canonical_json


class SpoolRecorder:
    """Gives answers their ids, and keeps those that the policy chooses.

    Args:
        device: The device's id.
        spool: Where they are kept.
        policy: Which ones are.
        most: The most that is kept of one; the recipe may say less.
        now: The device's clock.

    Attributes:
        node: The device's id, which its answer ids begin with.
    """

    def __init__(
        self,
        device: str,
        spool: Spool,
        policy: KeepPolicy,
        *,
        most: Records = "full",
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.node = device
        self._spool = spool
        self._policy = policy
        self._most = most
        self._levels: dict[str, Records] = {}
        self._now = now

    async def record(
        self, live: LiveModel, raw: Array, answers: Answers, times: Array | None
    ) -> str:
        """Records the answers to N samples.

        Args:
            live: The model that answered.
            raw: (N, *shape), the samples.
            answers: What it answered.
            times: (N, L) float64, of windows that told them: when each row was, in seconds since
                1970.

        Returns:
            The first answer's id, once all that is kept is durable; the others count on from it.

        Raises:
            SpoolError: The spool is closed.
        """
        at = self._now().isoformat()
        rows = self._spool.record(
            len(raw), lambda first: self._keep_answers(first, at, live, raw, answers, times)
        )
        first = await asyncio.wrap_future(rows)
        return f"{self.node}:{first}"

    async def add_truth(self, truths: Sequence[Truth]) -> int:
        """Records what was true of answers, known or unknown; returns how many, once durable.

        Raises:
            InvalidInput: One is no JSON, or names an answer by what can be no id.
            SpoolError: The spool is closed.
        """
        if not truths:
            return 0
        at = self._now().isoformat()
        said = [(truth.answer_id, _check_truth(truth)) for truth in truths]
        rows = self._spool.record(len(said), lambda first: _make_truths(first, at, said))
        await asyncio.wrap_future(rows)
        return len(said)

    def _keep_answers(
        self,
        first: int,
        at: str,
        live: LiveModel,
        raw: Array,
        answers: Answers,
        times: Array | None,
    ) -> Iterator[SpoolRow]:
        level = self._find_level(live)
        if level == "off":
            return
        shape = canonical_json(list(raw.shape[1:])).decode()
        for place in range(len(raw)):
            answer_id = f"{self.node}:{first + place}"
            if not self._policy.keeps(answer_id):
                continue
            outputs = live.teller.list_outputs(answers, place)
            said = {output.name: output.value for output in outputs}
            row = SpoolRow(
                sequence=first + place,
                kind="metadata",
                at=at,
                model_id=live.model_id,
                probability=self._policy.probability,
                reason=self._policy.reason,
                answer_id=answer_id,
                said=canonical_json(said).decode(),
            )
            yield (
                row
                if level == "metadata"
                else replace(
                    row,
                    kind="answer",
                    dtype=raw.dtype.name,
                    shape=shape,
                    data=np.ascontiguousarray(raw[place]).tobytes(),
                    times=None if times is None else np.asarray(times[place], "<f8").tobytes(),
                )
            )

    def _find_level(self, live: LiveModel) -> Records:
        """Return how much is kept of what a model is asked: what is said here, or less."""
        release = live.verified.release
        if release.receipt not in self._levels:
            may = read_privacy(live.verified.receipt, release.channel)
            self._levels = {release.receipt: find_least(self._most, may)}
        return self._levels[release.receipt]


def _check_truth(told: Truth) -> str:
    """Return the canonical JSON of a truth that a batch can carry."""
    try:
        UplinkRecord(
            sequence=1,
            kind="truth",
            at=datetime.now(UTC),
            answer_id=told.answer_id,
            truth=told.truth,
        )
        return canonical_json(told.truth).decode()
    except (ValidationError, StorageError) as error:
        fault = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
        raise InvalidInput(
            f"truth must be a JSON value of an answer id of 1 to 200 letters; got {fault}; correct "
            "it"
        ) from error


def _make_truths(first: int, at: str, said: Iterable[tuple[str, str]]) -> Iterator[SpoolRow]:
    for place, (answer_id, truth) in enumerate(said):
        yield SpoolRow(
            sequence=first + place,
            kind="truth",
            at=at,
            model_id=None,
            probability=1.0,
            reason="all",
            answer_id=answer_id,
            said=truth,
        )
