"""What deployments.targets refuses, as one small hierarchy.

TargetError
    KeyStoreError     KeyAbsent, KeyUnsafe, KeyConflict
    NotCleared        no green receipt for these bytes
    ChannelError      ChannelAbsent, ChannelConflict, ChannelCorrupt, ChannelHeld, ChannelRefused,
                      ChannelRetired
    BadArtifact       bytes that are not the model which the card describes
    BadInput          a file that the model cannot answer for
    UplinkRefused     what a device sent cannot be trusted
        DeviceRefused     the device itself: unknown, revoked, or its record is damaged
    ServeError        an address cannot be listened on
    ExportError       a model cannot be written for others as it was asked
    SpoolError        a device's spool or state folder cannot be used
"""


class TargetError(Exception):
    """Base of all errors of release channels, the runtime and the keys."""


class KeyStoreError(TargetError):
    """The keys in the config directory cannot be used."""


class KeyAbsent(KeyStoreError):
    """A key that is needed is not on this machine."""


class KeyUnsafe(KeyStoreError):
    """A private key or its directory is open to other users."""


class KeyConflict(KeyStoreError):
    """An import would replace a key that this machine uses."""


class NotCleared(TargetError):
    """There is no green receipt, signed by a trusted key, for exactly these bytes."""


class ChannelError(TargetError):
    """A release channel cannot be used."""


class ChannelAbsent(ChannelError):
    """There is no channel at this address."""


class ChannelCorrupt(ChannelError):
    """A channel's metadata does not verify, or was rolled back."""


class ChannelHeld(ChannelError):
    """A channel takes no new release: it is held, pinned or retired."""


class ChannelRefused(ChannelError):
    """A channel gave nothing that can be trusted, and no model was verified earlier."""


class ChannelRetired(ChannelError):
    """A channel is not in use any more: it offers nothing, and will not."""


class ChannelConflict(ChannelError):
    """Another release took the place that this one was cleared for.

    Attributes:
        expected: Number of the release that the refused one was cleared to follow; None: to be the
            first.
        found: Number of the channel's release now; None: it has none.
    """

    def __init__(self, message: str, *, expected: int | None, found: int | None) -> None:
        super().__init__(message)
        self.expected = expected
        self.found = found

    def __reduce__(self) -> tuple[object, ...]:
        """Keeps both numbers when the error crosses a process border."""
        return _make_conflict, (str(self), self.expected, self.found)


class BadArtifact(TargetError):
    """The bytes of an artifact are not the model that its card describes."""


class BadInput(TargetError):
    """An input file or array is not what the model takes."""


class UplinkRefused(TargetError):
    """What a device sent is not what it signed, or not in the form of a batch."""


class DeviceRefused(UplinkRefused):
    """A device is not enrolled here, was revoked, or its record cannot be trusted."""


class SpoolError(TargetError):
    """A device's spool or the folder of its state cannot be used."""


class ExportError(TargetError):
    """A model cannot be exported, or a manifest written, as it was asked."""


class ServeError(TargetError):
    """A server cannot listen where it is told to."""


def _make_conflict(message: str, expected: int | None, found: int | None) -> ChannelConflict:
    return ChannelConflict(message, expected=expected, found=found)
