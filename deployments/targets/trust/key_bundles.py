"""Keys on their way to another machine: `lepton keys export` and `lepton keys import`."""

from pathlib import Path

from deployments.targets.errors import KeyAbsent, KeyStoreError
from deployments.targets.trust.key_files import put_private, read_private, read_public
from deployments.targets.trust.key_records import KeyBundle, is_command
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


def import_keys(
    path: str | Path, ring: KeyRing | None = None, *, commands: bool = False
) -> KeyBundle:
    """Take over a bundle: trust its receipt keys, pin its channels, install its private keys.

    Args:
        path: The file.
        ring: Where they go; None: the config directory.
        commands: Whether private keys may be programs, which this machine will run.

    Raises:
        KeyAbsent: There is no such file.
        KeyUnsafe: It holds private keys and other users may read it.
        KeyConflict: This machine already uses another private key in the same place.
        KeyStoreError: It is no bundle, or names programs that are not allowed.
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
        held = [each for keys in bundle.private.channels.values() for each in keys.items()]
        held += [("receipt", bundle.private.receipt)] if bundle.private.receipt else []
        programs = sorted(name for name, text in held if is_command(text.encode()))
        if programs and not commands:
            raise KeyStoreError(
                f"key bundle ({source}) must name no programs that sign, for they would be run "
                f"here; got {', '.join(programs)}; look at them, then import it with --commands"
            )
    (ring or KeyRing()).add_bundle(bundle)
    return bundle
