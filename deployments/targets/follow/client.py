"""Following a channel, the device's side: update, verify, try out, keep two models that held.

The receipt guards against anything that was published without passing its gates, trying it out
against a model that does not answer here as it did where it was made. Whatever fails, nothing new
is taken and a model that was verified before goes on answering.
"""

import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from tuf.api.exceptions import DownloadError, RepositoryError
from tuf.ngclient import Updater

from deployments.targets.errors import (
    BadArtifact,
    ChannelCorrupt,
    ChannelError,
    ChannelRefused,
    NotCleared,
    TargetError,
)
from deployments.targets.follow.given_up import GivenUp
from deployments.targets.follow.state import FollowerState, Slot
from deployments.targets.follow.updater import (
    download_files,
    explain_fault,
    read_offers,
    refresh_metadata,
)
from deployments.targets.trust.address import Location, locate_channel
from deployments.targets.trust.card import CARD_FILE, RECEIPT_FILE, Card
from deployments.targets.trust.clearance import check_clearance
from deployments.targets.trust.keys import KeyRing
from deployments.targets.trust.offers import Content, Offer, choose_offer
from deployments.targets.trust.release import Release
from deployments.targets.trust.rollout import NOBODY, Taker
from storage.base.errors import StorageError
from storage.base.store import Store

logger = logging.getLogger(__name__)
Status = Literal["updated", "current", "refused"]


@dataclass(frozen=True)
class VerifiedModel:
    """A model whose every byte was verified, in memory.

    Attributes:
        release: The release it came with.
        card: Its card.
        data: The artifact's bytes.
        receipt: The bytes of the receipt that cleared it.
    """

    release: Release
    card: Card
    data: bytes = field(repr=False)
    receipt: bytes = field(repr=False)


Accept = Callable[[VerifiedModel], object]
"""Tries a verified model out; raises BadArtifact where it does not hold."""


@dataclass(frozen=True)
class Update:
    """What came of an update, and the model that answers now.

    Attributes:
        status: "updated": a newer release was taken; "current": there is none; "refused": the
            channel gave nothing that can be trusted, and a model verified before goes on.
        reason: Why it was refused.
        model: The model that answers.
        slot: The slot in which it is kept.
    """

    status: Status
    reason: str | None
    model: VerifiedModel
    slot: Slot


class ChannelClient:
    """Follows one channel from this machine.

    Args:
        channel: A name in the workspace, or the address of a channel.
        workspace: The workspace.
        keys: Pinned roots and trusted receipt keys; None: those of the config directory.
        cache: Where verified models are kept; None: the user's cache directory.
        accept: Tries a verified model out before it is taken or answers again.
        taker: Who asks: a release may be for some devices only.

    Raises:
        ChannelError: The name cannot be a channel's.
    """

    def __init__(
        self,
        channel: str,
        workspace: str | Store = "workspace",
        *,
        keys: KeyRing | None = None,
        cache: Path | None = None,
        accept: Accept = lambda model: None,
        taker: Taker = NOBODY,
    ) -> None:
        self.location = locate_channel(channel, workspace)
        self.ring = keys or KeyRing()
        self.state = FollowerState(self.location.url, cache)
        self.accept = accept
        self.taker = taker
        # A release that did not hold is not fetched again and again.
        self.given_up = GivenUp(self.state)

    def update(self) -> Update:
        """Takes the newest release, or goes on with a model that was verified before.

        Raises:
            ChannelAbsent: The workspace has no such channel, and nothing was verified here before.
            ChannelRefused: Nothing can be trusted, and no model was verified here before.
        """
        try:
            return self.fetch()
        except ChannelRefused as error:
            return self._fall_back(str(error))

    def fetch(self) -> Update:
        """Takes the newest release, if it is not the one that answers already.

        Raises:
            ChannelRefused: The channel gives nothing that can be trusted; the message says why.
        """
        try:
            with self.state.locked():
                return self._follow()
        except (TargetError, StorageError, RepositoryError, DownloadError, OSError) as error:
            raise ChannelRefused(explain_fault(error)) from error

    def _follow(self) -> Update:
        updater = refresh_metadata(self.location, self.ring, self.state)
        slots = self.state.read_slots()
        offer = self._choose(read_offers(self.location, self.state), slots.highest)
        release = offer.release
        if (reason := self.given_up.find(release)) is not None:
            raise BadArtifact(reason)
        slot = slots.find(release)
        model = self._read_kept(release) if slot is not None else None
        if slot is None or model is None:
            return self._take(updater, offer)
        self._try_out(model)
        self.state.switch(slot)
        status: Status = "current" if slot == slots.answers else "updated"
        return Update(status=status, reason=None, model=model, slot=slot)

    def _choose(self, content: Content, highest: Release | None) -> Offer:
        """Return the newest release that is for this device, which is none before what it has.

        Raises:
            ChannelCorrupt: The channel goes back.
            ChannelError: None of its releases is for this device.
        """
        offer, reasons = choose_offer(content, self.taker, highest, datetime.now(UTC))
        if offer is None:
            raise ChannelError(
                f"channel ({self.location.display}) must offer a release for this device; got "
                f"{'; '.join(reasons)}; ask again later, or with the device's own id and class"
            )
        if highest is not None and offer.release.number < highest.number:
            raise ChannelCorrupt(
                f"channel ({self.location.display}) must not go back; got {offer.release.title} "
                f"after {highest.title}"
            )
        return offer

    def _read_kept(self, release: Release) -> VerifiedModel | None:
        """Reads the kept copy of a release; None if it is damaged."""
        try:
            return self._load(release)
        except NotCleared as error:
            logger.warning(
                "The kept copy of %s is damaged (%s): fetching it again", release.title, error
            )
            return None

    def _take(self, updater: Updater, offer: Offer) -> Update:
        release = offer.release
        files = download_files(updater, offer, self.state)
        model = _verify(self.location, self.ring, release, files)
        self._try_out(model)
        slot = self.state.write_verified(release, files)
        return Update(status="updated", reason=None, model=model, slot=slot)

    def _try_out(self, model: VerifiedModel) -> None:
        try:
            self.accept(model)
        except BadArtifact as error:
            reason = f"{model.release.title} did not hold: {error}"
            self.given_up.note(model.release, reason)
            raise BadArtifact(reason) from error

    def _load(self, release: Release) -> VerifiedModel:
        return _verify(self.location, self.ring, release, self.state.read_files(release))

    def _fall_back(self, reason: str) -> Update:
        """Goes on with the kept model that answered last, else with the other."""
        faults: list[str] = []
        kept: list[tuple[Slot, Release]] = []
        try:
            slots = self.state.read_slots()
            kept = [(slot, held) for slot in slots.order if (held := slots.at(slot)) is not None]
        except TargetError as error:
            faults.append(str(error))
        for slot, release in kept:
            if len(kept) > 1 and (given_up := self.given_up.find(release)) is not None:
                faults.append(given_up)
                continue
            try:
                model = self._load(release)
                self.accept(model)
            except TargetError as error:
                how = "is damaged" if isinstance(error, NotCleared) else "does not hold"
                faults.append(f"the one kept here {how}: {error}")
                continue
            self._go_on(model, slot, reason)
            return Update(status="refused", reason=reason, model=model, slot=slot)
        if not kept:
            with suppress(StorageError):
                self.location.require_named()
        raise ChannelRefused(
            f"channel ({self.location.display}) must give a model that can be verified; got "
            f"{reason}; {'; '.join(faults) or 'no model was verified here before'}"
        )

    def _go_on(self, model: VerifiedModel, slot: Slot, reason: str) -> None:
        """Lets a slot answer from now on, so that a newer release never takes its place."""
        with suppress(TargetError, OSError), self.state.locked():
            if self.state.read_slots().at(slot) == model.release:
                self.state.switch(slot)
        logger.warning(
            "Channel %s is refused: %s; %s goes on answering",
            self.location.display,
            reason,
            model.release.title,
        )


def update_model(
    channel: str,
    workspace: str | Store = "workspace",
    *,
    keys: KeyRing | None = None,
    cache: Path | None = None,
) -> Update:
    """Brings a channel's newest release onto this machine, verified.

    Args:
        channel: A name in the workspace, or the address of a channel.
        workspace: The workspace.
        keys: Pinned roots and trusted receipt keys; None: those of the config directory.
        cache: Where verified models are kept; None: the user's cache directory.

    Raises:
        ChannelError: The name cannot be a channel's.
        ChannelAbsent: The workspace has no such channel, and no model was verified here before.
        ChannelRefused: Nothing can be trusted, and no model was verified here before.
    """
    return ChannelClient(channel, workspace, keys=keys, cache=cache).update()


def _verify(
    location: Location, ring: KeyRing, release: Release, files: dict[str, bytes]
) -> VerifiedModel:
    """Checks the receipt against the files, and both against the release."""
    try:
        receipt = files[RECEIPT_FILE]
        shipped = {name: files[name] for name in (release.file, CARD_FILE)}
    except KeyError as error:
        raise NotCleared(f"{release.title} must be kept whole; got no {error.args[0]}") from error
    cleared = check_clearance(
        receipt,
        shipped,
        channel=location.name,
        artifact=release.artifact,
        trusted=ring.trusted_receipt_keys(),
    )
    stated = (release.model_id, release.sha256, release.receipt, release.expected)
    if (got := (cleared.model_id, cleared.sha256, cleared.receipt, cleared.expected)) != stated:
        raise NotCleared(f"{release.title} must be what its receipt clears, {stated}; got {got}")
    return VerifiedModel(
        release=release, card=cleared.card, data=shipped[release.file], receipt=receipt
    )
