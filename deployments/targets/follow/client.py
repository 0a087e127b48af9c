"""Following a channel, the device's side: update, verify, keep the model that was verified last.

A channel's own first root says who it is; it is trusted only if its digest is pinned on this
machine (never on first use), and an address stays bound to the channel that it was. The Update
Framework's client workflow (specification 1.0, section 5) then guards against tampering, rollback,
freezing and mixing; the receipt guards against anything that was published without passing its
gates. Whatever fails, nothing new is taken and the last verified model goes on answering.
"""

import logging
import tempfile
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from tuf.api.exceptions import (
    BadVersionNumberError,
    DownloadError,
    DownloadHTTPError,
    ExpiredMetadataError,
    RepositoryError,
)
from tuf.api.metadata import Metadata, Timestamp
from tuf.ngclient import FetcherInterface, Updater, UpdaterConfig

from deployments.targets.errors import (
    ChannelCorrupt,
    ChannelRefused,
    KeyAbsent,
    NotCleared,
    TargetError,
)
from deployments.targets.follow.fetch import open_fetcher
from deployments.targets.follow.state import FollowerState
from deployments.targets.trust.address import METADATA, TARGETS, Location, locate_channel
from deployments.targets.trust.card import CARD_FILE, RECEIPT_FILE, Card
from deployments.targets.trust.clearance import check_clearance
from deployments.targets.trust.keys import ROOT_FILE, KeyRing
from deployments.targets.trust.metadata import name_channel, read_pinned_root
from deployments.targets.trust.release import Release
from storage.base.errors import StorageError
from storage.base.store import Store, redact, sha256_bytes

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


@dataclass(frozen=True)
class Update:
    """What came of an update, and the model that answers now.

    Attributes:
        status: "updated": a newer release was taken; "current": there is none; "refused": the
            channel gave nothing that can be trusted, and the last verified model goes on.
        reason: Why it was refused.
        model: The model that answers.
    """

    status: Status
    reason: str | None
    model: VerifiedModel


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
    location = locate_channel(channel, workspace)
    ring = keys or KeyRing()
    state = FollowerState(location.url, cache)
    try:
        with state.locked():
            return _follow(location, ring, state)
    except (TargetError, StorageError, RepositoryError, DownloadError, OSError) as error:
        reason = _explain(error)
    return Update(status="refused", reason=reason, model=_fall_back(location, ring, state, reason))


def _follow(location: Location, ring: KeyRing, state: FollowerState) -> Update:
    fetcher = open_fetcher(location)
    updater, channel_id = _open_updater(location, ring, state, fetcher)
    updater.refresh()
    _remember(location, state, channel_id)
    release = _read_release(location, updater)
    last = state.read_verified()
    if last is not None and release.number < last.number:
        raise ChannelCorrupt(
            f"channel ({location.display}) must not go back; got {release.title} after {last.title}"
        )
    if last == release:
        try:
            return Update(
                status="current", reason=None, model=_load(location, ring, state, release)
            )
        except NotCleared as error:
            logger.warning(
                "The kept copy of %s is damaged (%s): fetching it again", release.title, error
            )
    files = _download(updater, release, state)
    model = _verify(location, ring, release, files)
    state.write_verified(release, files)
    return Update(status="updated", reason=None, model=model)


def _open_updater(
    location: Location, ring: KeyRing, state: FollowerState, fetcher: FetcherInterface
) -> tuple[Updater, str]:
    """Opens a TUF client that starts from the pinned root of the channel that an address claims."""
    config = UpdaterConfig()
    channel_id = sha256_bytes(
        fetcher.download_bytes(f"{METADATA}/{ROOT_FILE}", config.root_max_length)
    )
    root = ring.pinned_root(channel_id)
    if root is None:
        raise KeyAbsent(
            f"channel ({location.display}) must be pinned on this machine; got id "
            f"{channel_id[:12]}, which is not in {ring.directory}; import its publisher's public "
            "keys with `lepton keys import`"
        )
    name = name_channel(read_pinned_root(root, ROOT_FILE))
    if name != location.name:
        raise ChannelCorrupt(
            f"channel ({location.display}) must be {location.name!r}; got the files of channel "
            f"{name!r}"
        )
    bound = state.read_binding()
    if bound is not None and bound.channel_id != channel_id:
        raise ChannelCorrupt(
            f"channel ({location.display}) must stay the one it was, {bound.channel_id[:12]}; got "
            f"{channel_id[:12]}; if that is meant, remove {state.directory}"
        )
    state.metadata_dir.mkdir(mode=0o700, exist_ok=True)
    updater = Updater(
        metadata_dir=str(state.metadata_dir),
        metadata_base_url=METADATA,
        target_base_url=TARGETS,
        fetcher=fetcher,
        config=config,
        bootstrap=root,
    )
    return updater, channel_id


def _remember(location: Location, state: FollowerState, channel_id: str) -> None:
    """Binds the address, and refuses a version older than the one remembered.

    The record survives a power cut, as TUF's cache may not.
    """
    version = (
        Metadata[Timestamp].from_file(str(state.metadata_dir / "timestamp.json")).signed.version
    )
    bound = state.read_binding()
    if bound is not None and version < bound.version:
        raise ChannelCorrupt(
            f"channel ({location.display}) must not go back; got version {version} after "
            f"{bound.version}"
        )
    state.write_binding(channel_id, version)


def _read_release(location: Location, updater: Updater) -> Release:
    entry = updater.get_targetinfo(RECEIPT_FILE)
    if entry is None:
        raise ChannelCorrupt(
            f"channel ({location.display}) must hold a release; got none; run a recipe that "
            "promotes to it"
        )
    release = Release.parse(entry.custom, location.display)
    if release.channel != location.name:
        raise ChannelCorrupt(
            f"release must be for channel {location.name!r}; got one for {release.channel!r}"
        )
    return release


def _download(updater: Updater, release: Release, state: FollowerState) -> dict[str, bytes]:
    files = {}
    with tempfile.TemporaryDirectory(dir=state.directory) as folder:
        for name in (release.file, CARD_FILE, RECEIPT_FILE):
            entry = updater.get_targetinfo(name)
            if entry is None:
                raise ChannelCorrupt(
                    f"{release.title} must hold {name}; got no such file; publish it again"
                )
            files[name] = Path(updater.download_target(entry, str(Path(folder, name)))).read_bytes()
    return files


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


def _load(
    location: Location, ring: KeyRing, state: FollowerState, release: Release
) -> VerifiedModel:
    return _verify(location, ring, release, state.read_files(release))


def _fall_back(
    location: Location, ring: KeyRing, state: FollowerState, reason: str
) -> VerifiedModel:
    release, model, kept = None, None, "no model was verified here before"
    try:
        release = state.read_verified()
        if release is not None:
            model = _load(location, ring, state, release)
    except TargetError as error:
        kept = f"the one kept here is damaged: {error}"
    if model is None:
        if release is None:
            with suppress(StorageError):
                location.require_named()
        raise ChannelRefused(
            f"channel ({location.display}) must give a model that can be verified; got {reason}; "
            f"{kept}"
        )
    logger.warning(
        "Channel %s is refused: %s; %s goes on answering",
        location.display,
        reason,
        model.release.title,
    )
    return model


def _explain(error: Exception) -> str:
    """Says the reason in words; TUF's kinds of error name the attack that they stop."""
    if isinstance(error, ExpiredMetadataError):
        return f"expired or frozen: {error}; its publisher must refresh it"
    if isinstance(error, BadVersionNumberError):
        return f"rolled back: {str(error).rstrip('.')}"
    if isinstance(error, RepositoryError):
        return f"tampered with: {error}"
    if isinstance(error, DownloadHTTPError):
        return f"incomplete: {error}"
    if isinstance(error, DownloadError):
        return redact(f"unreachable: {error}{f' ({error.__cause__})' if error.__cause__ else ''}")
    return str(error)
