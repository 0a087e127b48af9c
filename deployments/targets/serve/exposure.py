"""What stands between a node and those who reach it: API keys, TLS, or a word that none is wanted.

A certificate is looked at again every few seconds, and taken where it fits its key: whoever renews
it needs to tell nobody.
"""

import ipaddress
import logging
import socket
import ssl
import threading
from dataclasses import dataclass
from pathlib import Path

from deployments.targets.errors import ServeError
from deployments.targets.serve.guard import KeyFolder
from deployments.targets.trust.api_keys import locate_api_keys

logger = logging.getLogger(__name__)
LOOK_EVERY_S = 2.0
CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""Of TLS 1.2, with forward secrecy and authenticated encryption (RFC 9325, section 4.2)."""
_LOCAL_NAMES = ("localhost", "localhost.localdomain", "ip6-localhost")


@dataclass(frozen=True)
class Certificate:
    """A TLS certificate, its chain behind it, and its private key, as PEM files."""

    chain: Path
    key: Path

    def load(self, context: ssl.SSLContext | None = None) -> None:
        """Load both into a context, or try them out.

        Raises:
            ServeError: They cannot be read, or do not belong together.
        """
        try:
            # What is loaded in part stays: so both are tried out beside the context first.
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(self.chain, self.key, _no_word)
            if context is not None:
                context.load_cert_chain(self.chain, self.key, _no_word)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise ServeError(
                f"TLS certificate ({self.chain}) and key ({self.key}) must be PEM files that "
                f"belong together, the key without a passphrase; got {reason}; correct them"
            ) from error

    def stamp(self) -> tuple[int, ...]:
        """Return what changes when a file does; nothing where one is away."""
        try:
            found = [path.stat() for path in (self.chain, self.key)]
        except OSError:
            return ()
        return tuple(number for stat in found for number in (stat.st_mtime_ns, stat.st_ino))


def _no_word() -> str:
    return ""  # Asked for a passphrase, OpenSSL would wait at the terminal.


class Renewer:
    """A thread that takes a renewed certificate for the connections to come.

    Args:
        certificate: The files.
        context: Where they are loaded.
        every_s: Seconds between two looks.
    """

    def __init__(
        self, certificate: Certificate, context: ssl.SSLContext, every_s: float = LOOK_EVERY_S
    ) -> None:
        self._certificate, self._context, self._every_s = certificate, context, every_s
        self._seen = certificate.stamp()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="lepton-tls", daemon=True)

    def start(self) -> None:
        """Starts looking."""
        self._thread.start()

    def stop(self) -> None:
        """Stops looking."""
        self._ending.set()

    def _watch(self) -> None:
        while not self._ending.wait(self._every_s):
            seen = self._certificate.stamp()
            if not seen or seen == self._seen:
                continue
            self._seen = seen
            try:
                self._certificate.load(self._context)
            except ServeError as error:
                logger.warning("A renewed certificate is not taken, the old one stays: %s", error)


@dataclass(frozen=True)
class Exposure:
    """Where a node listens, and what protects it.

    Attributes:
        host: Address that it listens on.
        keys: Who may ask; None: everybody.
        certificate: What it shows; None: it talks in the clear.
    """

    host: str
    keys: KeyFolder | None = None
    certificate: Certificate | None = None

    @property
    def scheme(self) -> str:
        """How its addresses begin."""
        return "http" if self.certificate is None else "https"


def plan_exposure(
    host: str,
    *,
    api_keys: Path | None = None,
    tls_certificate: Path | None = None,
    tls_key: Path | None = None,
    open_to_all: bool = False,
) -> Exposure:
    """Find out what protects a node, and refuse one that nothing does.

    Args:
        host: Address that it listens on.
        api_keys: Folder of API keys; None: that of the config directory, if it is there.
        tls_certificate: PEM file of its certificate and those above it.
        tls_key: PEM file of the private key; None: it is in the same file.
        open_to_all: Whether it is meant to answer everybody who reaches it.

    Raises:
        ServeError: It would listen beyond this machine, without keys and without TLS; or the
            certificate cannot be used.
        KeyStoreError: The keys cannot be read.
    """
    if api_keys is not None and not api_keys.is_dir():
        raise ServeError(
            f"API keys ({api_keys}) must be a folder of keys; got none; make one with `lepton keys "
            "api add NAME --into FOLDER`"
        )
    if tls_key is not None and tls_certificate is None:
        raise ServeError(
            f"TLS key ({tls_key}) must have a certificate; got none; give --tls-certificate"
        )
    asks = not open_to_all and locate_api_keys(api_keys).is_dir()
    certificate = None
    if tls_certificate is not None:
        certificate = Certificate(tls_certificate, tls_key or tls_certificate)
        certificate.load()
    exposure = Exposure(host, KeyFolder(api_keys) if asks else None, certificate)
    _require_protection(exposure, open_to_all=open_to_all)
    return exposure


def _require_protection(exposure: Exposure, *, open_to_all: bool) -> None:
    if is_loopback(exposure.host) or open_to_all:
        return
    if exposure.keys is None and exposure.certificate is None:
        raise ServeError(
            f"address ({exposure.host}) must be one of this machine alone, such as 127.0.0.1, "
            "where there are neither API keys nor TLS; got one that others reach; make a key with "
            "`lepton keys api add NAME`, give --tls-certificate, or say --open-to-all"
        )
    if exposure.certificate is None:
        logger.warning("API keys go over the network in the clear: give --tls-certificate")
    if exposure.keys is None:
        logger.warning("Everybody who reaches %s is answered: add API keys", exposure.host)


def is_loopback(host: str) -> bool:
    """Tell whether an address is one that only this machine reaches."""
    if host.lower() in _LOCAL_NAMES:
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        pass
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError:
        return False
    return bool(found) and all(
        ipaddress.ip_address(str(entry[4][0]).partition("%")[0]).is_loopback for entry in found
    )
