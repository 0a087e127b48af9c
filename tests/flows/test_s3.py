"""A whole run in a workspace on S3: collected, trained, promoted, verified and followed by a
device.
"""

import json
from pathlib import Path

import numpy as np
import pytest

from tests.flows.material import FAST
from tests.flows.processes import Command, fast_settings
from tests.storage.object_store import create_bucket, start_object_store

pytestmark = pytest.mark.prefect


def test_run_on_s3_is_promoted_and_followed(
    tmp_path: Path, prefect_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    np.save(tmp_path / "digit.npy", np.zeros((8, 8), dtype=np.uint8))
    with start_object_store() as endpoint:
        create_bucket(endpoint, "bucket")
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "somebody")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a-secret-word")
        monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        monkeypatch.setenv("LEPTON_WORKSPACE", "s3://bucket/team")
        ran = Command("run", "digits", "--json", *fast_settings(FAST), cwd=tmp_path)
        assert ran.finish() == 0, ran.messages
        summary = json.loads(ran.out.read_text().splitlines()[-1])
        assert summary["receipt"].startswith("s3://bucket/team/receipts/")
        verified = Command("verify", summary["receipt"], cwd=tmp_path)
        assert verified.finish() == 0, verified.messages
        answered = Command("predict", "edge", "digit.npy", "--json", cwd=tmp_path)
        assert answered.finish() == 0, answered.messages
    assert json.loads(answered.out.read_text())["model_id"] == summary["model_id"]
    assert "a-secret-word" not in ran.messages + ran.out.read_text()
