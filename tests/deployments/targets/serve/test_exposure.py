"""Where a node listens: beyond this machine only with keys or TLS; certificates are renewed."""

import json
import socket
import ssl
import time
import urllib.request
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from deployments.targets.errors import ServeError
from deployments.targets.serve.exposure import Certificate, Renewer, is_loopback, plan_exposure
from deployments.targets.trust.api_keys import add_api_key
from tests.deployments.targets.serve.asking import Node
from tests.deployments.targets.serve.test_page import serve_node


def make_certificate(folder: Path, name: str = "localhost") -> Certificate:
    """Writes a self-signed certificate and its key."""
    folder.mkdir(exist_ok=True)
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    names = [x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))]
    built = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "tls.pem").write_bytes(built.public_bytes(serialization.Encoding.PEM))
    (folder / "tls.key").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return Certificate(folder / "tls.pem", folder / "tls.key")


@pytest.mark.parametrize(
    ("host", "is_own"),
    [
        ("127.0.0.1", True),
        ("127.8.9.1", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("10.0.0.1", False),
        ("::ffff:10.0.0.1", False),
        ("", False),
        ("no.such.host.invalid", False),
    ],
)
def test_an_address_is_of_this_machine_or_not(host: str, is_own: bool) -> None:
    assert is_loopback(host) is is_own


def test_beyond_this_machine_something_protects_it(tmp_path: Path) -> None:
    with pytest.raises(ServeError, match=r"neither API keys nor TLS; .* --open-to-all"):
        plan_exposure("0.0.0.0")
    assert plan_exposure("127.0.0.1").keys is None
    assert plan_exposure("0.0.0.0", open_to_all=True).keys is None
    certificate = make_certificate(tmp_path / "tls")
    files = {"tls_certificate": certificate.chain, "tls_key": certificate.key}
    assert plan_exposure("0.0.0.0", **files).scheme == "https"
    add_api_key("app", ("predict",))
    for host in ("0.0.0.0", "127.0.0.1"):
        exposure = plan_exposure(host)
        assert exposure.keys is not None
        assert len(exposure.keys.keys) == 1
    assert plan_exposure("0.0.0.0", open_to_all=True).keys is None


def test_what_cannot_protect_is_refused(tmp_path: Path) -> None:
    one, other = make_certificate(tmp_path / "a"), make_certificate(tmp_path / "b")
    for chain, key in (
        (one.chain, other.key),
        (one.key, one.chain),
        (tmp_path / "none", one.key),
        (one.chain, None),
    ):
        with pytest.raises(ServeError, match="PEM files that belong together"):
            plan_exposure("127.0.0.1", tls_certificate=chain, tls_key=key)
    with pytest.raises(ServeError, match="must have a certificate"):
        plan_exposure("127.0.0.1", tls_key=one.key)
    with pytest.raises(ServeError, match="must be a folder of keys"):
        plan_exposure("127.0.0.1", api_keys=tmp_path / "none")


def show_certificate(server: ssl.SSLContext) -> str:
    """The name that a server shows to who connects now, without a socket."""
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    near = client.wrap_bio(down, up)
    far = server.wrap_bio(up, down, server_side=True)
    for _ in range(4):
        for end in (near, far):
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
    shown = near.getpeercert(binary_form=True)
    assert shown is not None
    return str(x509.load_der_x509_certificate(shown).subject.rfc4514_string())


def test_a_renewed_certificate_is_taken_and_a_broken_one_is_not(tmp_path: Path) -> None:
    certificate = make_certificate(tmp_path, "old")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.load(context)
    renewer = Renewer(certificate, context, every_s=0.01)
    renewer.start()
    try:
        assert show_certificate(context) == "CN=old"
        make_certificate(tmp_path / "other", "broken")
        (tmp_path / "tls.pem").write_bytes((tmp_path / "other" / "tls.pem").read_bytes())
        time.sleep(0.1)
        assert show_certificate(context) == "CN=old"
        make_certificate(tmp_path, "new")
        deadline_s = time.monotonic() + 10
        while show_certificate(context) != "CN=new":
            assert time.monotonic() < deadline_s
            time.sleep(0.01)
    finally:
        renewer.stop()


def shakes_hands(client: ssl.SSLContext, raw: socket.socket, host: str) -> bool:
    try:
        client.wrap_socket(raw, server_hostname=host).close()
    except (ssl.SSLError, ConnectionError):
        return False
    return True


def test_a_node_talks_tls(pictures: Node, tmp_path: Path) -> None:
    certificate = make_certificate(tmp_path / "tls")
    with serve_node(pictures, certificate) as url:
        trusting = ssl.create_default_context(cafile=str(certificate.chain))
        https = url.replace("http://", "https://")
        with urllib.request.urlopen(https + "/v2", context=trusting, timeout=10) as reply:
            assert json.load(reply)["name"] == "lepton"
        host, port = url.removeprefix("http://").split(":")
        trusting.maximum_version = ssl.TLSVersion.TLSv1_2
        for cipher, is_taken in (("AES256-GCM-SHA384", True), ("AES256-SHA", False)):
            trusting.set_ciphers(f"ECDHE-ECDSA-{cipher}")
            with socket.create_connection((host, int(port)), 10) as raw:
                assert shakes_hands(trusting, raw, host) == is_taken
        with socket.create_connection((host, int(port)), 10) as plain:
            plain.sendall(b"GET /v2 HTTP/1.1\r\nhost: x\r\n\r\n")
            assert not plain.recv(100).startswith(b"HTTP")
