"""A whole run in a workspace on S3: collected, trained, promoted, verified and followed by a
device.
"""

import json
from pathlib import Path

import numpy as np
import pytest

from tests.flows.material import FAST, call
from tests.flows.processes import fast_settings
from tests.storage.object_store import create_bucket, start_object_store

pytestmark = pytest.mark.prefect


def test_run_on_s3_is_promoted_and_followed(
    tmp_path: Path, prefect_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = tmp_path / "digit.npy"
    np.save(image, np.zeros((8, 8), dtype=np.uint8))
    with start_object_store() as endpoint:
        create_bucket(endpoint, "bucket")
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "somebody")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a-secret-word")
        monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        monkeypatch.setenv("LEPTON_WORKSPACE", "s3://bucket/team")
        # With a cluster of its own: the session's has another environment.
        ran = call("run", "digits", "--json", *fast_settings(FAST))
        assert ran.status == 0, ran.messages
        assert ran.summary["receipt"].startswith("s3://bucket/team/receipts/")
        verified = call("verify", ran.summary["receipt"])
        assert verified.status == 0, verified.messages
        answered = call("predict", "edge", str(image), "--json")
        assert answered.status == 0, answered.messages
    assert json.loads(answered.out)["model_id"] == ran.summary["model_id"]
    assert "a-secret-word" not in ran.messages + ran.out
