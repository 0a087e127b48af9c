"""What a channel offers: releases, each with its rollout and files, as signed targets list them.

The newest stands under plain names, `receipt.json` with the release in its "custom" field. Where
it does not reach every device, the releases before it follow under `<number>/`, as far as the
first that does. Their files are those that were there: named by digest, none is written again.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, ValidationError
from tuf.api.metadata import TargetFile, Targets

from deployments.targets.errors import ChannelCorrupt
from deployments.targets.trust.card import CARD_FILE, RECEIPT_FILE
from deployments.targets.trust.release import Release
from deployments.targets.trust.rollout import Rollout, Taker

FIELD: Final = "x-lepton"
STEERED_FORMAT: Final = 2
"""Of a release that is not for everybody: who does not know rollouts must not take it."""


@dataclass(frozen=True)
class Offer:
    """A release, whom it is for, and its files.

    Attributes:
        release: The release.
        rollout: Which devices it reaches, and from when on.
        files: Length and digest of its artifact, card and receipt, by their plain names.
    """

    release: Release
    rollout: Rollout
    files: Mapping[str, TargetFile]


class Stop(BaseModel):
    """Why a channel takes no new release.

    Attributes:
        kind: "hold": until it is lifted; "pin": the same, at a release that was chosen; "retire":
            for good, and the channel offers nothing.
        reason: Why, in words.
        author: Who said so.
        at: When, ISO 8601 in UTC.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["hold", "pin", "retire"]
    reason: str
    author: str
    at: str

    def describe(self) -> str:
        """Return it in words."""
        words = {"hold": "held", "pin": "pinned", "retire": "retired"}
        return f"{words[self.kind]} by {self.author} at {self.at}: {self.reason}"


@dataclass(frozen=True)
class Content:
    """All that a channel says at one moment.

    Attributes:
        offers: What it offers, newest first.
        stop: Why it takes no new release; None: it does.
    """

    offers: tuple[Offer, ...] = ()
    stop: Stop | None = None

    @property
    def release(self) -> Release | None:
        """The newest release."""
        return self.offers[0].release if self.offers else None

    def find(self, number: int) -> Offer | None:
        """Return the offer of a release's number."""
        return next((offer for offer in self.offers if offer.release.number == number), None)

    def list_entries(self) -> dict[str, TargetFile]:
        """Describe the offers as targets."""
        entries: dict[str, TargetFile] = {}
        for place, offer in enumerate(self.offers):
            folder = "" if place == 0 else f"{offer.release.number}/"
            entries |= {
                folder + name: _move(file, folder + name) for name, file in offer.files.items()
            }
            entries[folder + RECEIPT_FILE].unrecognized_fields["custom"] = _describe(offer)
        return entries

    def list_fields(self) -> dict[str, Any]:
        """Return what the targets hold besides: nothing where the channel is not stopped."""
        return {} if self.stop is None else {FIELD: {"stop": self.stop.model_dump(mode="json")}}


NOTHING: Final = Content()


def describe_files(files: Mapping[str, bytes]) -> dict[str, TargetFile]:
    """Describe files by length and digest."""
    return {name: TargetFile.from_data(name, data, ["sha256"]) for name, data in files.items()}


def stack_offers(newest: Offer, before: Sequence[Offer], now: datetime) -> tuple[Offer, ...]:
    """Put a release before others, and leave out those that nobody needs any more."""
    kept = [newest]
    for offer in before:
        if kept[-1].rollout.is_over(now):
            break
        kept.append(offer)
    return tuple(kept)


def read_content(targets: Targets, where: str) -> Content:
    """Read what verified targets say.

    Raises:
        ChannelCorrupt: They are of no format known here.
    """
    return Content(offers=tuple(_read_offers(targets, where)), stop=_read_stop(targets, where))


def choose_offer(
    content: Content, taker: Taker, held: Release | None, now: datetime
) -> tuple[Offer | None, list[str]]:
    """Return the newest offer that is for who asks, and why those above it are not.

    Args:
        content: What the channel says.
        taker: Who asks.
        held: The highest release that it has: once taken, a release is kept while it is offered.
        now: The time now, in UTC.
    """
    reasons: list[str] = []
    for offer in content.offers:
        hindrance = offer.rollout.find_hindrance(taker, now)
        if hindrance is None or offer.release == held:
            return offer, reasons
        reasons.append(f"{offer.release.title} is not for this device: {hindrance}")
    return None, reasons


def _read_offers(targets: Targets, where: str) -> Iterator[Offer]:
    folders = sorted(
        (name.removesuffix(RECEIPT_FILE) for name in targets.targets if _is_receipt(name)),
        key=lambda folder: -int(folder.rstrip("/")) if folder else -float("inf"),
    )
    for folder in folders:
        release, rollout = _parse(targets.targets[folder + RECEIPT_FILE].custom, where)
        names = (release.file, CARD_FILE, RECEIPT_FILE)
        missing = [name for name in names if folder + name not in targets.targets]
        if missing or folder not in ("", f"{release.number}/"):
            raise ChannelCorrupt(
                f"channel metadata ({where}) must list the files of {release.title}; got no "
                f"{folder}{missing[0] if missing else RECEIPT_FILE}; publish it again"
            )
        yield Offer(
            release=release,
            rollout=rollout,
            files={name: _move(targets.targets[folder + name], name) for name in names},
        )


def _is_receipt(name: str) -> bool:
    folder, slash, file = name.rpartition("/")
    return file == RECEIPT_FILE and (not slash or (folder.isascii() and folder.isdigit()))


def _read_stop(targets: Targets, where: str) -> Stop | None:
    record = targets.unrecognized_fields.get(FIELD)
    if record is None:
        return None
    try:
        return Stop.model_validate(record["stop"])
    except (ValidationError, LookupError, TypeError) as error:
        raise ChannelCorrupt(
            f"channel metadata ({where}) must say why the channel is stopped; got {error}; use a "
            "newer Lepton"
        ) from error


def _parse(document: object, where: str) -> tuple[Release, Rollout]:
    """Reads a release and its rollout; format 1 has none and is for everybody."""
    if not isinstance(document, dict) or document.get("format") != STEERED_FORMAT:
        return Release.parse(document, where), Rollout()
    try:
        rollout = Rollout.model_validate(document["rollout"])
        return Release.parse(document["release"], where), rollout
    except (ValidationError, LookupError) as error:
        raise ChannelCorrupt(
            f"rollout ({where}) must follow its format; got {error}; use a newer Lepton"
        ) from error


def _describe(offer: Offer) -> dict[str, Any]:
    release = offer.release.model_dump(mode="json")
    if offer.rollout.is_whole:
        return release
    rollout = offer.rollout.model_dump(mode="json", exclude_defaults=True)
    return {"format": STEERED_FORMAT, "release": release, "rollout": rollout}


def _move(file: TargetFile, name: str) -> TargetFile:
    """Returns the same length and digest under another name."""
    return TargetFile(length=file.length, hashes=dict(file.hashes), path=name)
