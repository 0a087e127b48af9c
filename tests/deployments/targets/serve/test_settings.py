"""An endpoint's settings: what was given, then the file, then what is usual."""

from pathlib import Path

import pytest

from deployments.targets.errors import ServeError
from deployments.targets.serve.settings import ServeSettings, load_settings
from lepton_ai.commands.serve_options import Level


def test_options_come_before_the_file_and_the_file_before_what_is_usual(tmp_path: Path) -> None:
    file = tmp_path / "serve.toml"
    file.write_text('port = 9000\nchannel = "edge"\napi_keys = "keys"\ntls_key = "/x/tls.key"\n')
    found = load_settings(file, {"port": 0, "host": None, "id": "e1"})
    assert (found.port, found.channel, found.id, found.host) == (0, "edge", "e1", "127.0.0.1")
    assert (found.api_keys, found.tls_key) == (tmp_path / "keys", Path("/x/tls.key"))
    assert load_settings(None, {"channel": "cloud"}) == ServeSettings()


def test_records_are_sent_to_the_workspace_unless_it_is_said_where(tmp_path: Path) -> None:
    kept = {"records": Level.FULL, "id": "e1", "state": tmp_path, "workspace": "s3://b/w/"}
    assert load_settings(None, kept).uplink_url == "s3://b/w/uplinks"
    assert load_settings(None, kept).records == "full"
    there = "https://h/uplink"
    assert load_settings(None, {**kept, "uplink": there}).uplink_url == there
    for absent in ("id", "state"):
        with pytest.raises(ServeError, match="need an id and a state folder"):
            load_settings(None, {**kept, absent: None})


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("port = 70000", "port: Input should be less than"),
        ('prot = "x"', "prot: Extra inputs are not permitted; give some of channel, workspace"),
        ("interval_s = 0", "interval_s"),
        ('open_to_all = true\napi_keys = "k"', "exclude each other"),
        ("port = ", "must be a TOML file"),
        ('channel = ["a"]', "channel"),
    ],
)
def test_what_is_no_setting_is_named(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "serve.toml"
    file.write_text(text)
    with pytest.raises(ServeError) as caught:
        load_settings(file, {})
    assert says in str(caught.value)
    assert "serve.toml" in str(caught.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    for file in (tmp_path / "none.toml", tmp_path):
        with pytest.raises(ServeError, match=r"TOML file that can be read"):
            load_settings(file, {})
    bad = tmp_path / "bad.toml"
    bad.write_bytes(b"\xff\xfe")
    with pytest.raises(ServeError, match="TOML file"):
        load_settings(bad, {})
