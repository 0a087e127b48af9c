"""Keys on their way to another machine: `lepton keys export` and `lepton keys import`."""

from pathlib import Path

from deployments.targets.errors import KeyAbsent, KeyStoreError
from deployments.targets.trust.key_files import put_private, read_private, read_public
from deployments.targets.trust.key_records import KeyBundle
from deployments.targets.trust.keys import KeyRing


def export_keys(path: str | Path, private: bool = False, ring: KeyRing | None = None) -> KeyBundle:
    """Write the keys of this machine to a new file of mode 0600.

    Args:
        path: The file; must not exist.
        private: With the private keys, for another publisher; without, for a device.
        ring: The keys; None: those of the config directory.

    Raises:
        KeyStoreError: The file exists or cannot be written.
    """
    bundle = (ring or KeyRing()).bundle(private=private)
    target = Path(path).absolute()
    if not put_private(target, bundle.model_dump_json(indent=2).encode()):
        raise KeyStoreError(
            f"key bundle ({target}) must be a new file; got one that exists; remove it or name "
            "another"
        )
    return bundle


def import_keys(path: str | Path, ring: KeyRing | None = None) -> KeyBundle:
    """Take over a bundle: trust its receipt keys, pin its channels, install its private keys.

    Raises:
        KeyAbsent: There is no such file.
        KeyUnsafe: It holds private keys and other users may read it.
        KeyConflict: This machine already uses another private key in the same place.
        KeyStoreError: It is no bundle.
    """
    source = Path(path).absolute()
    data = read_public(source)
    if data is None:
        raise KeyAbsent(
            f"key bundle ({source}) must exist; got no such file; make one with `lepton keys "
            "export`"
        )
    bundle = KeyBundle.parse(data, str(source))
    if bundle.private is not None:
        read_private(source)
    (ring or KeyRing()).add_bundle(bundle)
    return bundle
