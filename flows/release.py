"""Renews the short-lived signatures of channels before they run out."""

from deployments.targets.publish.channel import open_channel, read_champion, refresh
from flows.errors import AbsentError
from flows.run.prefect_flow import lepton_flow
from storage.base.store import Store
from tasks.runtime.stage import stage

FOLDER = "channels"


@lepton_flow
def refresh_channels(workspace: str = "./workspace") -> dict[str, int]:
    """Signs each channel of a workspace anew, so that devices go on trusting it.

    It changes no release.

    Args:
        workspace: Folder or URL of the workspace.

    Returns:
        The number of each channel's new snapshot, by its name.

    Raises:
        AbsentError: There is no such workspace: nothing of it would be renewed.
        ChannelCorrupt: A channel does not verify.
        KeyAbsent: This machine cannot sign for a channel.
    """
    store = Store(workspace)
    names = store.listdir(FOLDER)
    if not names and not store.listdir():
        raise AbsentError(
            f"workspace ({store.display}) must be there for its channels to be renewed; got "
            "nothing at that place; correct the address, or promote a model there first"
        )
    return {name: refresh_channel(workspace, name) for name in names}


@stage
def refresh_channel(workspace: str, name: str) -> int:
    """Signs one channel anew, if it has a release.

    Returns:
        The number of its snapshot; 0 if there is nothing to sign.
    """
    channel = open_channel(workspace, name)
    return refresh(channel) if read_champion(channel) is not None else 0
