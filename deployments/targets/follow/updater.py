"""Speaking The Update Framework with a channel: whose it is, its newest release, its files.

A channel's own first root says who it is; it is trusted only if its digest is pinned on this
machine (never on first use), and an address stays bound to the channel that it was. The Update
Framework's client workflow (specification 1.0, section 5) then guards against tampering, rollback,
freezing and mixing.
"""

from pathlib import Path

from tuf.api.exceptions import (
    BadVersionNumberError,
    DownloadError,
    DownloadHTTPError,
    DownloadLengthMismatchError,
    ExpiredMetadataError,
    RepositoryError,
)
from tuf.api.metadata import Metadata, Targets, Timestamp
from tuf.ngclient import FetcherInterface, Updater, UpdaterConfig

from deployments.targets.errors import ChannelCorrupt, ChannelRetired, KeyAbsent
from deployments.targets.follow.fetch import open_fetcher
from deployments.targets.follow.state import FollowerState
from deployments.targets.trust.address import METADATA, TARGETS, Location
from deployments.targets.trust.keys import ROOT_FILE, KeyRing
from deployments.targets.trust.metadata import name_channel, read_pinned_root
from deployments.targets.trust.offers import Content, Offer, read_content
from storage.base.store import redact, sha256_bytes


def refresh_metadata(location: Location, ring: KeyRing, state: FollowerState) -> Updater:
    """Brings a channel's metadata up to date, verified, and remembers how far it got.

    Raises:
        TargetError: It is not the channel that it must be, or goes back.
        RepositoryError: Its metadata does not verify.
        DownloadError: It cannot be read.
    """
    updater, channel_id = _open_updater(location, ring, state, open_fetcher(location))
    updater.refresh()
    _remember(location, state, channel_id)
    return updater


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


def read_offers(location: Location, state: FollowerState) -> Content:
    """Reads what a channel offers, once its metadata was brought up to date.

    Raises:
        ChannelCorrupt: It offers nothing, or another channel's releases.
    """
    targets = Metadata[Targets].from_file(str(state.metadata_dir / "targets.json")).signed
    content = read_content(targets, location.display)
    if content.stop is not None and content.stop.kind == "retire":
        raise ChannelRetired(
            f"channel ({location.display}) must be in use; got one that was "
            f"{content.stop.describe()}; follow another channel"
        )
    if not content.offers:
        raise ChannelCorrupt(
            f"channel ({location.display}) must hold a release; got none; run a recipe that "
            "promotes to it"
        )
    for offer in content.offers:
        if offer.release.channel != location.name:
            raise ChannelCorrupt(
                f"release must be for channel {location.name!r}; got one for "
                f"{offer.release.channel!r}"
            )
    return content


def download_files(updater: Updater, offer: Offer, state: FollowerState) -> dict[str, bytes]:
    """Downloads a release's artifact, card and receipt, each as its metadata says."""
    files = {}
    with state.open_scratch() as folder:
        for name, entry in offer.files.items():
            files[name] = Path(updater.download_target(entry, str(folder / name))).read_bytes()
    return files


def explain_fault(error: Exception) -> str:
    """Says the reason in words; TUF's kinds of error name the attack that they stop."""
    if isinstance(error, ExpiredMetadataError):
        return f"expired or frozen: {error}; its publisher must refresh it"
    if isinstance(error, BadVersionNumberError):
        return f"rolled back: {str(error).rstrip('.')}"
    if isinstance(error, RepositoryError | DownloadLengthMismatchError):
        return f"tampered with: {error}"
    if isinstance(error, DownloadHTTPError):
        return f"incomplete: {error}"
    if isinstance(error, DownloadError):
        return redact(f"unreachable: {error}{f' ({error.__cause__})' if error.__cause__ else ''}")
    return str(error)
