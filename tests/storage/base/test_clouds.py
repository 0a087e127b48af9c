"""Azure and Google by their real fsspec packages, against emulators: the promises of every store
and of every dataset.
"""

import pickle

import pytest

from storage.base.errors import NotFound, NotWritable, UnsupportedStore
from storage.base.store import Store, sha256_bytes
from storage.testing.datasets import DatasetContract
from storage.testing.stores import StoreContract
from tests.storage.cloud_emulators import (
    describe_azure,
    describe_google,
    start_azure,
    start_careless_google,
    start_google,
)
from tests.storage.object_store import Proxy

pytestmark = [
    pytest.mark.slow,
    # Sessions that these packages close late, in a thread of their own.
    pytest.mark.filterwarnings(
        "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
    ),
]


def name_folder(request):
    return sha256_bytes(request.node.nodeid.encode())[:12]


@pytest.fixture(scope="module")
def azure():
    """Options of an Azure blob store with a container `bucket`."""
    import fsspec

    with start_azure() as options:
        fsspec.filesystem("az", **options).mkdir("bucket")
        yield options


@pytest.fixture(scope="module")
def simple_gcsfs():
    """gcsfs would ask by gRPC first, which no emulator answers, whether a bucket is of the newest
    kind.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")
        yield


@pytest.fixture(scope="module")
def google(simple_gcsfs):
    """Options of a Google store with a bucket `bucket`."""
    import fsspec

    with start_google() as options:
        fsspec.filesystem("gs", **options).mkdir("bucket")
        yield options


class CloudContract(StoreContract):
    """What is promised of a store across a network. Subclasses give `store` and `reach`, a store
    through a proxy.
    """

    def test_travels_to_another_process(self, store):
        store.write("a", b"1")
        assert pickle.loads(pickle.dumps(store)).read("a") == b"1"

    def test_sees_what_another_process_wrote(self, store):
        assert store.listdir() == []
        other = Store(store.url, {**store.options, "skip_instance_cache": True})
        other.write("a", b"1")
        assert store.listdir() == ["a"]

    def test_a_lost_reply_is_no_conflict_and_no_duplicate(self, store, reach):
        with Proxy(find_endpoint(store)) as proxy:
            through = reach(proxy.endpoint)
            through.probe()
            lost = []

            def lose(method, path):
                if method in ("PUT", "POST") and len(lost) < 1:
                    lost.append(path)
                    return True
                return False

            proxy.lose = lose
            for turn in range(3):
                lost.clear()
                assert through.put_if_absent(f"log/{turn}", b"equal bytes") is True
                assert len(lost) == 1
                assert through.put_if_absent(f"log/{turn}", b"equal bytes") is False
            assert len(store.list("log")) == 3

    def test_a_missing_bucket_is_named(self, store):
        other = Store(store.url.replace("bucket", "no-such-bucket"), store.options)
        with pytest.raises(NotFound, match="no-such-bucket"):
            other.write("a", b"")
        with pytest.raises(NotFound, match="no-such-bucket"):
            other.put_if_absent("a", b"")


def find_endpoint(store):
    options = store.options
    if "endpoint_url" in options:
        return options["endpoint_url"]
    return options["connection_string"].partition("BlobEndpoint=")[2].rpartition("/")[0]


class TestAzure(CloudContract):
    @pytest.fixture
    def store(self, azure, request):
        return Store(f"az://bucket/{name_folder(request)}", azure)

    @pytest.fixture
    def reach(self, store):
        return lambda endpoint: Store(store.url, describe_azure(endpoint))

    @pytest.mark.parametrize(
        "name", ["with space", "ümläut", "a+b=c,d", "100%", "a#b", "a?b", "[1]*"]
    )
    def test_takes_any_name(self, store, name):
        """Any but those with control characters, which the rules for names of blobs discourage: XML
        changes a tab.
        """
        super().test_takes_any_name(store, name)

    def test_the_account_in_the_url_is_used(self, store, azure):
        options = {"connection_string": azure["connection_string"]}
        url = store.url.replace(
            "az://bucket/", "abfss://bucket@devstoreaccount1.dfs.core.windows.net/"
        )
        other = Store(url, options)
        assert other.put_if_absent("a/b", b"1") is True
        assert (store.read("a/b"), other.list(), other.listdir("a")) == (b"1", ["a/b"], ["b"])

    def test_wrong_credentials_are_named_and_not_shown(self, azure):
        wrong = azure["connection_string"].replace("AccountKey=Eby8", "AccountKey=AAAA")
        other = Store("az://bucket/x", {"connection_string": wrong})
        for call in (
            other.read,
            lambda path: other.write(path, b""),
            lambda path: other.put_if_absent(path, b""),
        ):
            with pytest.raises(NotWritable, match="must be open to these credentials") as caught:
                call("a")
        assert "vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6" not in str(caught.value)


class TestGoogle(CloudContract):
    @pytest.fixture
    def store(self, google, request):
        return Store(f"gs://bucket/{name_folder(request)}", google)

    @pytest.fixture
    def reach(self, store):
        return lambda endpoint: Store(store.url, describe_google(endpoint))


class TestAzureDatasets(DatasetContract):
    @pytest.fixture
    def store(self, azure, request):
        return Store(f"az://bucket/{name_folder(request)}", azure)


class TestGoogleDatasets(DatasetContract):
    @pytest.fixture
    def store(self, google, request):
        return Store(f"gs://bucket/{name_folder(request)}", google)


def test_a_google_store_that_takes_no_notice_of_conditions_is_refused(simple_gcsfs):
    import fsspec

    with start_careless_google() as options:
        fsspec.filesystem("gs", **options).mkdir("bucket")
        store = Store("gs://bucket/work", options)
        with pytest.raises(UnsupportedStore, match="create a file twice"):
            store.probe()
        with pytest.raises(UnsupportedStore, match="create a file twice"):
            store.put_if_absent("log/0", b"")
        assert store.list() == []
