"""A channel in a bucket: the same promises over an object store."""

from collections.abc import Iterator

import pytest

from deployments.targets.errors import ChannelConflict
from deployments.targets.follow.client import update_model
from deployments.targets.publish.channel import open_channel, read_champion, refresh
from tests.deployments.targets.material import make_channel, make_onnx, publish_model

pytest.importorskip("s3fs", reason="S3 needs the platform install")
server_module = pytest.importorskip(
    "moto.server", reason="the S3 emulator is a development package"
)


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    import fsspec

    server = server_module.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    fsspec.filesystem("s3", skip_instance_cache=True).mkdir("fleet")
    yield "s3://fleet/ws"
    server.stop()


@pytest.mark.slow
def test_publish_follow_and_conflict_in_a_bucket(bucket: str) -> None:
    channel = make_channel(bucket)
    publish_model(channel, 1, None)
    assert update_model("edge", bucket).model.data == make_onnx(1)
    publish_model(channel, 2, 1)
    with pytest.raises(ChannelConflict):
        publish_model(channel, 3, 1)
    refresh(channel)
    champion = read_champion(open_channel(bucket, "edge"))
    update = update_model(f"{bucket}/channels/edge")
    assert champion == update.model.release
    assert update.model.data == make_onnx(2)
