"""A small Dask cluster for the tests of this package."""

import secrets

import pytest

from tests.storage.object_store import create_bucket, start_object_store


@pytest.fixture(scope="session")
def client():
    """A client of two worker processes of one thread each, on loopback, set up as Lepton's own
    cluster is.
    """
    import dask
    import distributed

    from tasks.runtime.cluster import SETTINGS

    with (
        dask.config.set(SETTINGS),
        distributed.LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
            silence_logs="CRITICAL",
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


@pytest.fixture(scope="session")
def s3_options():
    """Options of an S3 emulator that runs in this process."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield {"endpoint_url": f"http://{host}:{port}", "key": "test", "secret": "test"}
    server.stop()


@pytest.fixture(scope="session")
def endpoint():
    """Endpoint of an S3 emulator in a process of its own, with a bucket `bucket`; for what threads
    here would slow down.
    """
    with start_object_store() as endpoint:
        create_bucket(endpoint, "bucket")
        yield endpoint


@pytest.fixture
def s3_url(s3_options):
    """An empty bucket of the emulator."""
    import fsspec

    name = f"bucket-{secrets.token_hex(4)}"
    fsspec.filesystem("s3", **s3_options).mkdir(name)
    return f"s3://{name}"
