"""Where a channel lies: a name in a workspace, or the address of the channel itself."""

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from deployments.targets.errors import ChannelAbsent, ChannelError
from deployments.targets.specs import NAME_PATTERN
from storage.base.store import Store, redact

CHANNELS = "channels"
METADATA = "metadata"
TARGETS = "targets"
_NAME = re.compile(NAME_PATTERN)


@dataclass(frozen=True)
class Location:
    """A channel's address.

    Attributes:
        url: Absolute path or full URL, without a trailing slash.
        name: The channel's name: the last part of the address.
        store: Its files; None on http(s), which is read without a file system layer.
        shelf: The folder of a workspace's channels, where it was named as one of them; None where
            its address was given.
    """

    url: str
    name: str
    store: Store | None
    shelf: Store | None = None

    @property
    def display(self) -> str:
        """The address without secrets."""
        return redact(self.url)

    def require_named(self) -> None:
        """Checks that the workspace has a channel of that name.

        Raises:
            ChannelAbsent: It has not; says which it has.
            StorageError: The workspace cannot be read.
        """
        if self.shelf is None or self.name in (known := self.shelf.listdir()):
            return
        where = self.shelf.display.removesuffix("/" + CHANNELS)
        what = f"channel ({self.name}) must be one of workspace {where}"
        if known:
            raise ChannelAbsent(
                f"{what}; got a name that it does not have; its channels: {', '.join(known)}"
            )
        raise ChannelAbsent(
            f"{what}; got a workspace without channels; run a recipe there, or give --workspace"
        )


def is_channel_name(name: str) -> bool:
    """Return whether a name can be a channel's: it becomes a folder's, and part of addresses."""
    return _NAME.fullmatch(name) is not None


def locate_channel(channel: str, workspace: str | Store) -> Location:
    """Finds a channel.

    Args:
        channel: A name, such as "edge", in the workspace; or a full URL or a path (anything with a
            slash) of a channel, whose last part is its name.
        workspace: The workspace.

    Raises:
        ChannelError: The name cannot be a channel's.
    """
    inside = "/" not in channel
    name = channel if inside else urlsplit(channel).path.rstrip("/").rpartition("/")[2]
    if not is_channel_name(name):
        raise ChannelError(
            f"channel ({redact(channel)}) must have a name of a-z, 0-9, '.', '_' and '-' at its "
            f"end; got {name!r}; give a name in the workspace, or the address of a channel that "
            "ends in its name"
        )
    if not inside:
        return _locate(channel.rstrip("/"), name)
    if not isinstance(workspace, Store):
        if workspace.startswith(("http://", "https://")):
            return _locate(f"{workspace.rstrip('/')}/{CHANNELS}/{name}", name)
        workspace = Store(workspace)
    shelf = workspace.child(CHANNELS)
    return Location(url=shelf.child(name).url, name=name, store=shelf.child(name), shelf=shelf)


def find_workspace(location: Location, workspace: str | Store) -> Store | None:
    """Finds the workspace of a channel, whether it was named or its address given.

    Args:
        location: Where the channel lies.
        workspace: The workspace in which it was named.

    Returns:
        None where the address is that of a channel outside of any, or is read by http(s).
    """
    if location.shelf is not None:
        return workspace if isinstance(workspace, Store) else Store(workspace)
    root, shelf, _ = location.url.rpartition(f"/{CHANNELS}/")
    return Store(root) if shelf and root and location.store is not None else None


def _locate(url: str, name: str) -> Location:
    if url.startswith(("http://", "https://")):
        return Location(url=url, name=name, store=None)
    store = Store(url)
    return Location(url=store.url, name=name, store=store)
