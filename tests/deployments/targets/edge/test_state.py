import stat
from pathlib import Path

import pytest

from deployments.targets.edge.state import StateFolder
from deployments.targets.errors import DeviceRefused, KeyStoreError, KeyUnsafe, SpoolError
from deployments.targets.trust.devices import parse_code


def test_a_device_makes_its_key_once_and_its_code_stays(tmp_path: Path) -> None:
    state = StateFolder(tmp_path / "state")
    signer = state.enrol("d1")
    assert state.enrol("d1").keyid == signer.keyid
    assert parse_code(state.make_code("d1")) == ("d1", signer.public)
    assert StateFolder(tmp_path / "state").make_code("d1") == state.make_code("d1")
    assert stat.S_IMODE((state.path / "device.pem").stat().st_mode) == 0o600
    assert stat.S_IMODE(state.path.stat().st_mode) == 0o700


def test_a_folder_is_one_devices(tmp_path: Path) -> None:
    state = StateFolder(tmp_path)
    state.enrol("d1")
    with pytest.raises(SpoolError, match="must be that of device d2; got that of d1"):
        state.enrol("d2")
    with pytest.raises(DeviceRefused, match="device id"):
        StateFolder(tmp_path / "other").enrol("no id")
    assert not (tmp_path / "other").exists()


def test_a_key_that_is_open_to_others_and_damaged_files_are_named(tmp_path: Path) -> None:
    state = StateFolder(tmp_path)
    state.enrol("d1")
    (tmp_path / "device.pem").chmod(0o644)
    with pytest.raises(KeyUnsafe, match="chmod 600"):
        state.enrol("d1")
    (tmp_path / "device.pem").chmod(0o600)
    (tmp_path / "device.pem").write_bytes(b"junk")
    with pytest.raises(KeyStoreError, match=r"device key \(.*device\.pem\) must be a PKCS #8"):
        state.enrol("d1")
    (tmp_path / "device.json").write_bytes(b"{}")
    with pytest.raises(KeyStoreError, match="must hold a device's id"):
        state.enrol("d1")


def test_one_agent_alone_works_in_a_folder(tmp_path: Path) -> None:
    with (
        StateFolder(tmp_path / "s").locked(),
        pytest.raises(SpoolError, match="must be free; got another agent"),
        StateFolder(tmp_path / "s").locked(),
    ):
        pass
    with StateFolder(tmp_path / "s").locked():
        pass
