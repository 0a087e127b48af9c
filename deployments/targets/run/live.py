"""The runtime: a verified model is loaded, warmed up and tested on itself before it answers.

The same code stands behind `predict`, an endpoint and an agent. A newer release is made ready
beside the model that answers, then one reference is swapped: whoever took the old one finishes
with it, and nobody waits.
"""

import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from deployments.targets.errors import BadArtifact, ChannelRefused
from deployments.targets.follow.client import ChannelClient, Status, Update, VerifiedModel
from deployments.targets.follow.state import Slot
from deployments.targets.run.forms.steps import list_step_times
from deployments.targets.run.objectives import ANSWERS, Teller
from deployments.targets.run.predictions import Prediction
from deployments.targets.run.runtime import Answers, Array, Predictor
from deployments.targets.run.self_test import answers_rows_alone, check_golden
from deployments.targets.run.vitals import Vitals, find_fall
from deployments.targets.trust.card import Card
from deployments.targets.trust.keys import KeyRing
from deployments.targets.trust.rollout import NOBODY, Taker
from storage.base.registry import UnknownName
from storage.base.store import Store

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class LiveModel:
    """A model that answers: verified, loaded, warmed up and tested on itself.

    Attributes:
        verified: Its verified bytes, card and release.
        predictor: The artifact, loaded.
        teller: How its answers are told.
        joins_rows: Whether rows of different askers may run together: no row's answer depends on
            the others, as it does where 8-bit activations get their scale from all of a run.
        vitals: What it did so far.
    """

    verified: VerifiedModel
    predictor: Predictor = field(repr=False)
    teller: Teller = field(repr=False)
    joins_rows: bool = False
    vitals: Vitals = field(default_factory=Vitals, repr=False, compare=False)

    @property
    def card(self) -> Card:
        """Its card."""
        return self.verified.card

    @property
    def model_id(self) -> str:
        """Identity of the model."""
        return self.card.model_id

    @property
    def release(self) -> int:
        """Number of its release on the channel."""
        return self.verified.release.number

    def answer(self, raw: Array) -> Answers:
        """Answer for raw samples (N, *card.input.shape), N >= 1, of the card's dtype.

        Raises:
            BadInput: Another shape or dtype.
            BadArtifact: The model fails, or does not answer as its card promises.
        """
        began_s = time.perf_counter()
        try:
            answers = self.predictor.predict(raw)
        except BadArtifact:
            self.vitals.note_fault(raw)
            raise
        self.vitals.note_run(len(raw), time.perf_counter() - began_s)
        return answers

    def tell(
        self,
        answers: Answers,
        *,
        file: str,
        notes: Sequence[tuple[int, str]] = (),
        names: Sequence[str] = (),
        times: Array | None = None,
    ) -> list[Prediction]:
        """Tell what it answers of each sample, as `predict --json` prints it.

        Args:
            answers: What it answered.
            file: What it was asked, as it was given.
            notes: Of samples, by number, what a person should know besides.
            names: Whose each sample is; empty where nothing says.
            times: (N, L) seconds since 1970 of the rows of windows; None where nothing tells them.
        """
        rows, ahead = len(answers.values), self.card.input.ahead
        steps = 0 if times is None else self.teller.count_steps(answers)
        noted: dict[int, list[str]] = {}
        for row, words in notes:
            noted.setdefault(row, []).append(words)
        return [
            Prediction(
                file=file,
                row=row if rows > 1 else None,
                of=names[row] if names else None,
                objective=self.card.objective,
                outputs=self.teller.list_outputs(answers, row),
                times=list_step_times(times[row], steps, ahead) if times is not None else (),
                model_id=self.model_id,
                note="; ".join(noted[row]) if row in noted else None,
            )
            for row in range(rows)
        ]


def load_live(verified: VerifiedModel, *, threads: int = 1) -> LiveModel:
    """Load a verified model, and test it on its golden samples, which warms it up.

    Args:
        verified: The model.
        threads: Threads of one call into onnxruntime.

    Raises:
        BadArtifact: The bytes are not the model that their card describes, it does not answer its
            golden samples as it must, or how its objective's answers are told is not known here.
    """
    card = verified.card
    try:
        teller = ANSWERS.find(card.objective)
    except UnknownName as error:
        raise BadArtifact(f"model card must be of an objective known here: {error}") from error
    predictor = Predictor.from_card(verified.data, card, threads=threads)
    check_golden(predictor, card.golden)
    joins_rows = answers_rows_alone(predictor, verified.data, card.golden)
    return LiveModel(verified, predictor, teller, joins_rows)


class _Loader:
    """Tries verified models out by loading them, and keeps the one that was loaded last."""

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._live: LiveModel | None = None

    def load(self, verified: VerifiedModel) -> LiveModel:
        """Load a model, unless it is the one that was loaded last."""
        live = self._live
        if live is None or live.verified.release != verified.release:
            live = self._live = load_live(verified, threads=self._threads)
        return live


@dataclass(frozen=True)
class FollowState:
    """What came of asking the channel last.

    Attributes:
        status: "updated", "current" or "refused".
        reason: Why it was refused.
        checked_at: When it was asked, in UTC.
    """

    status: Status
    reason: str | None = None
    checked_at: datetime | None = None


@dataclass(frozen=True)
class _Held:
    """Everything that one swap changes, so that all of it changes at once."""

    current: LiveModel
    previous: LiveModel | None
    slot: Slot
    state: FollowState


class Runtime:
    """Answers with a channel's champion, and swaps it for a newer one while others answer.

    Safe to use from many threads: take `current` once an answer, and finish with what was taken.

    Args:
        channel: A name in the workspace, or the address of a channel.
        workspace: The workspace.
        keys: Pinned roots and trusted receipt keys; None: those of the config directory.
        cache: Where verified models are kept; None: the user's cache directory.
        threads: Threads of one call into onnxruntime.
        taker: Who asks: a release may be for some devices only.

    Raises:
        ChannelError: The name cannot be a channel's.
        ChannelAbsent: The workspace has no such channel, and nothing was verified here before.
        ChannelRefused: Nothing can be trusted, and no model that was verified here before answers.
    """

    def __init__(
        self,
        channel: str,
        workspace: str | Store = "workspace",
        *,
        keys: KeyRing | None = None,
        cache: Path | None = None,
        threads: int = 1,
        taker: Taker = NOBODY,
    ) -> None:
        self.channel = channel
        self._loader = _Loader(threads)
        self._client = ChannelClient(
            channel, workspace, keys=keys, cache=cache, accept=self._loader.load, taker=taker
        )
        self._refreshing, self._swapping = threading.Lock(), threading.Lock()
        update = self._client.update()
        current = self._loader.load(update.model)
        self._held = _Held(current, None, update.slot, _note(update.status, update.reason))

    @property
    def current(self) -> LiveModel:
        """The model that answers."""
        return self._held.current

    @property
    def previous(self) -> LiveModel | None:
        """The model that answered before it; None until the first swap."""
        return self._held.previous

    @property
    def slot(self) -> Slot:
        """The slot in which the model that answers is kept."""
        return self._held.slot

    @property
    def state(self) -> FollowState:
        """What came of asking the channel last."""
        return self._held.state

    def refresh(self) -> Status:
        """Ask the channel, and swap to its newest release once that is ready to answer.

        Returns:
            "updated": another model answers now; "current": there is none newer; "refused": the
            channel gives nothing that can be trusted, or a release that fails here; the model that
            answers goes on, and `state.reason` says why.
        """
        with self._refreshing:
            try:
                update = self._client.fetch()
            except ChannelRefused as error:
                logger.warning(
                    "Channel %s is refused: %s; release %d goes on answering",
                    self._client.location.display,
                    error,
                    self.current.release,
                )
                self._held = replace(self._held, state=_note("refused", str(error)))
                return "refused"
            return self._swap(update)

    def _swap(self, update: Update) -> Status:
        live = self._loader.load(update.model)
        with self._swapping:
            held = self._held
            if self._client.given_up.find(live.verified.release):
                return "refused"  # While the channel was asked.
            if live.verified.release == held.current.verified.release:
                self._held = replace(held, slot=update.slot, state=_note("current"))
                return "current"
            live.vitals.watcher = lambda raw: self._judge(live, raw)
            self._held = _Held(live, held.current, update.slot, _note("updated"))
        logger.info("Took %s from channel %s", update.model.release.title, self.channel)
        return "updated"

    def _judge(self, live: LiveModel, raw: Array | None) -> None:
        """Goes back to the model before, where one that answers does worse than that."""
        before = self._held.previous
        if self._held.current is not live or before is None:
            return
        fall = find_fall(live.vitals, before.vitals, before.predictor, raw)
        if fall is None:
            return
        reason = f"{live.verified.release.title} was given up: {fall}"
        with self._swapping:
            if self._held.current is not live:
                return
            self._client.given_up.note(live.verified.release, reason)
            slot: Slot = "b" if self._held.slot == "a" else "a"
            self._held = _Held(before, None, slot, _note("refused", reason))
        logger.error("%s; %s answers again", reason, before.verified.release.title)
        release = before.verified.release
        threading.Thread(target=self._client.given_up.keep, args=(release,), daemon=True).start()


def _note(status: Status, reason: str | None = None) -> FollowState:
    return FollowState(status=status, reason=reason, checked_at=datetime.now(UTC))
