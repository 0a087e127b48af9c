"""Workspaces that cannot hold a run: a full disk, and one that is only to be read."""

import pytest

from tests.flows.material import call, run
from tests.flows.processes import find_torn
from tests.small_disk import SmallDisk

pytestmark = pytest.mark.prefect


# Full while rows are stored, and full when the model is.
@pytest.mark.parametrize("size", ["400k", pytest.param("1500k", marks=pytest.mark.slow)])
def test_full_disk_fails_the_run_and_tears_nothing(
    disk: SmallDisk, size: str, prefect_url: str, dask_scheduler: str
) -> None:
    disk.mount(f"size={size}")
    workspace = disk.path / "workspace"
    full = run("digits", workspace, dask_scheduler)
    assert full.status == 1
    assert (
        "must fit on its disk; got: No space left on device; free some space, then run again"
        in full.messages
    )
    assert "Traceback" not in full.messages
    assert "  FAIL  " in full.messages
    assert not find_torn(workspace)
    disk.mount("remount,size=64m")
    again = run("digits", workspace, dask_scheduler)
    assert again.status == 0, again.messages
    assert call("verify", again.summary["receipt"], "--workspace", str(workspace)).status == 0


def test_disk_that_is_only_to_be_read_is_refused_before_anything_runs(
    disk: SmallDisk, prefect_url: str, dask_scheduler: str
) -> None:
    disk.mount("size=1m")
    disk.mount("remount,ro")
    refused = run("digits", disk.path / "workspace", dask_scheduler)
    assert refused.status == 1
    assert "must be open to this user; got: Read-only file system" in refused.messages
    assert "collect" not in refused.messages
