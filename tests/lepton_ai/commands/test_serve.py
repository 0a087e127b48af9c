"""`lepton serve --check`: everything is tried out, nothing is served, and nothing stays behind."""

import socket
import threading
from pathlib import Path

import pytest

from tests.deployments.targets.material import make_channel, publish_model
from tests.flows.material import call


@pytest.fixture(autouse=True)
def _own_directories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEPTON_CONFIG_DIR", str(tmp_path / "config"))
    monkeypatch.setenv("LEPTON_CACHE_DIR", str(tmp_path / "cache"))


def test_all_of_it_is_tried_out(tmp_path: Path) -> None:
    publish_model(make_channel(tmp_path / "w", "cloud"), 1, None)
    file = tmp_path / "serve.toml"
    file.write_text(
        f'workspace = "{tmp_path}/w"\nport = 0\nid = "e1"\nrecords = "full"\nstate = "state"\n'
    )
    before = threading.active_count()
    good = call("serve", "--config", str(file), "--check")
    assert good.status == 0, good.messages
    assert "digits on channel cloud: release 1" in good.messages
    assert "lepton devices add lepton-device-1." in good.messages
    assert (tmp_path / "state" / "spool.sqlite").exists()
    assert threading.active_count() == before
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        for options, says in (
            (("--port", port), "must be one of this machine that is free"),
            (("--host", "0.0.0.0"), "neither API keys nor TLS"),
            (("--policy", "some"), "policy (some) must be 'all'"),
            (("--id", "No Such"), "device id"),
        ):
            bad = call("serve", "--config", str(file), "--check", *options)
            assert (bad.status, says in bad.messages) == (1, True), (options, bad.messages)
    assert (
        call("serve", "--config", str(file), "--check", "--host", "0.0.0.0", "--open-to-all").status
        == 0
    )
    assert threading.active_count() == before
