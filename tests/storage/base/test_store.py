"""Files: one suite of promises that every store keeps, and what is special to each."""

import errno
import json
import math
import os
import pickle
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage.base import local as local_files
from storage.base.errors import (
    InvalidInput,
    NotFound,
    NotWritable,
    OutOfSpace,
    StorageError,
    Unreachable,
    UnsupportedStore,
)
from storage.base.store import Store, canonical_json, redact, sha256_bytes, sha256_stream
from storage.testing.stores import StoreContract
from tests.storage.object_store import Proxy, describe_options


class TestLocal(StoreContract):
    @pytest.fixture
    def store(self, tmp_path):
        return Store(tmp_path / "work space")

    def test_travels_to_another_process(self, store):
        store.write("a", b"1")
        assert pickle.loads(pickle.dumps(store)).read("a") == b"1"
        assert pickle.loads(pickle.dumps(store)) == store

    def test_only_what_must_last_is_waited_for(self, store, monkeypatch):
        flushed = []
        monkeypatch.setattr(os, "fsync", flushed.append)
        store.write_scratch("a", b"1")
        before = len(flushed)
        store.write("a", b"2")
        # The new folder, once; then the file and its folder.
        assert (before, len(flushed)) == (1, 3)

    def test_is_an_absolute_path(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        assert Store("x/../y").url == str(tmp_path / "y")
        assert Store(f"file://{tmp_path}/y").local_path("z") == tmp_path / "y" / "z"
        assert Store("~/x").local_path() == Path.home() / "x"

    def test_temporary_files_are_never_shown_and_can_be_swept(self, store):
        store.write("a/b", b"")
        left = store.local_path("a") / name_left_file(find_dead_pid())
        left.write_bytes(b"half")
        mine = store.local_path("a") / name_left_file(os.getpid())
        mine.write_bytes(b"half")
        foreign = store.local_path("a") / ".lepton-tmp-0123"
        foreign.write_bytes(b"half")
        assert (store.list(), store.listdir("a")) == (["a/b"], ["b"])
        assert store.sweep(datetime.now(UTC) - timedelta(hours=1)) == 0
        assert store.sweep(datetime.now(UTC) + timedelta(hours=1)) == 1
        assert [left.exists(), mine.exists(), foreign.exists()] == [False, True, True]
        os.utime(foreign, (0, 0))
        assert store.sweep(datetime.now(UTC) - timedelta(hours=1)) == 1
        assert not foreign.exists()

    def test_a_failed_write_keeps_the_old_bytes_and_leaves_nothing(self, store, monkeypatch):
        store.write("a", b"old")

        def fail(*_):
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(local_files, "_write_bytes", fail)
        for call in (store.write, store.put_if_absent):
            with pytest.raises(OutOfSpace, match="free some space"):
                call("a", b"new")
        assert store.read("a") == b"old"
        assert [path.name for path in store.local_path().iterdir()] == ["a"]

    def test_a_read_only_store(self, store, tmp_path):
        if os.geteuid() == 0:
            pytest.skip("root may write anywhere")
        tmp_path.chmod(0o500)
        with pytest.raises(NotWritable, match="permissions"):
            store.write("a", b"")
        tmp_path.chmod(0o700)

    @pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES])
    def test_a_store_that_refuses_writes_is_named(self, store, monkeypatch, number):
        def refuse(*_):
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr(local_files, "_write_bytes", refuse)
        with pytest.raises(NotWritable, match=rf"a/b.*{os.strerror(number)}.*permissions"):
            store.write("a/b", b"")

    def test_a_file_in_the_way_is_named(self, store):
        store.write("a", b"")
        with pytest.raises(StorageError, match="a/b"):
            store.write("a/b", b"")

    def test_a_file_system_without_links_is_refused(self, store, monkeypatch):
        def refuse(*_):
            raise OSError(errno.EPERM, "Operation not permitted")

        monkeypatch.setattr(os, "link", refuse)
        with pytest.raises(UnsupportedStore, match="hard links"):
            store.put_if_absent("a", b"")
        assert store.list() == []

    def test_deleting_leaves_no_empty_folder_and_never_the_store(self, store):
        store.write("a/b/c", b"")
        store.delete("a/b/c")
        assert list(store.local_path().iterdir()) == []

    def test_writers_and_deleters_of_one_folder_do_not_meet(self, store):
        stop = threading.Event()

        def churn():
            while not stop.is_set():
                store.write("d/e/other", b"")
                store.delete("d/e/other")

        with ThreadPoolExecutor(2) as threads:
            job = threads.submit(churn)
            try:
                for turn in range(200):
                    store.write(f"d/e/{turn}", b"")
                    store.delete(f"d/e/{turn}")
            finally:
                stop.set()
            job.result()

    def test_a_reader_never_sees_half_a_file(self, store):
        first, second = b"a" * 300_000, b"b" * 300_000
        store.write("x", first)
        with ThreadPoolExecutor(1) as threads:
            job = threads.submit(
                lambda: [store.write("x", data) for _ in range(30) for data in (first, second)]
            )
            while not job.done():
                assert store.read("x") in (first, second)

    def test_of_racing_processes_one_wins(self, store):
        script = (
            "import sys; from storage.base.store import Store; store = Store(sys.argv[1]); "
            "sys.stdin.readline(); print([store.put_if_absent(f'r/{i}', sys.argv[2].encode()) for "
            "i in range(50)])"
        )
        command = [sys.executable, "-c", script, store.url]
        racers = [
            subprocess.Popen(
                [*command, str(i)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
            for i in range(4)
        ]
        for racer in racers:
            racer.stdin.write("go\n")
            racer.stdin.flush()
        won = [json.loads(racer.communicate()[0].lower()) for racer in racers]
        assert [sum(turn) for turn in zip(*won, strict=True)] == [1] * 50


class TestMemory(StoreContract):
    @pytest.fixture
    def store(self):
        import fsspec

        fsspec.filesystem("memory").store.clear()
        yield Store("memory://workspace/a")
        fsspec.filesystem("memory").store.clear()

    def test_does_not_travel(self, store):
        with pytest.raises(InvalidInput, match="every process"):
            pickle.dumps(store)


def find_dead_pid():
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return process.pid


def name_left_file(pid):
    """Name of the temporary file of a process."""
    return f".lepton-tmp-{local_files._name_host()}-{pid}-0123"


@pytest.mark.slow
class TestS3(StoreContract):
    @pytest.fixture
    def store(self, endpoint, request):
        return Store(
            f"s3://bucket/{sha256_bytes(request.node.nodeid.encode())[:12]}",
            describe_options(endpoint),
        )

    def test_travels_to_another_process(self, store):
        store.write("a", b"1")
        assert pickle.loads(pickle.dumps(store)).read("a") == b"1"

    def test_a_large_file_is_one_request(self, store, endpoint):
        """s3fs would write parts, of which a killed writer leaves some that no listing shows."""
        with Proxy(endpoint) as proxy:
            through = Store(store.url, describe_options(proxy.endpoint))
            through.write("large", bytes(101 * 2**20))
            assert len(through.read("large")) == 101 * 2**20
            assert [method for method, _, _ in proxy.requests] == ["PUT", "GET"]

    def test_a_missing_bucket_is_named(self, endpoint):
        with pytest.raises(NotFound, match="no-such-bucket"):
            Store("s3://no-such-bucket/x", describe_options(endpoint)).write("a", b"")

    def test_sees_what_another_process_wrote(self, store, endpoint):
        assert store.listdir() == []
        other = Store(store.url, {**describe_options(endpoint), "skip_instance_cache": True})
        other.write("a", b"1")
        assert store.listdir() == ["a"]

    def test_a_lost_reply_is_no_conflict_and_no_duplicate(self, store, endpoint):
        with Proxy(endpoint) as proxy:
            through = Store(store.url, describe_options(proxy.endpoint))
            through.probe()
            lost = []

            def lose(method, path):
                if method == "PUT" and path.endswith(f"log/{len(lost)}"):
                    lost.append(path)
                    return True
                return False

            proxy.lose = lose
            for turn in range(3):
                assert through.put_if_absent(f"log/{turn}", b"equal bytes") is True
                assert through.put_if_absent(f"log/{turn}", b"equal bytes") is False
            assert len(lost) == 3
            assert len(store.list("log")) == 3

    def test_a_store_that_cannot_create_once_is_refused(self, store, endpoint):
        with Proxy(endpoint) as proxy:
            proxy.strip = ("if-none-match",)
            through = Store(store.url, describe_options(proxy.endpoint))
            with pytest.raises(UnsupportedStore, match="create a file twice"):
                through.probe()
            with pytest.raises(UnsupportedStore, match="create a file twice"):
                through.put_if_absent("log/0", b"")
            assert store.list() == []

    def test_wrong_credentials_are_named_and_not_shown(self):
        options = {
            "key": "k",
            "secret": "not-a-real-secret",
            "client_kwargs": {"endpoint_url": "http://127.0.0.1:1"},
        }
        with pytest.raises(Unreachable, match="check the endpoint") as caught:
            Store(
                "s3://bucket/x",
                {
                    **options,
                    "config_kwargs": {"retries": {"max_attempts": 0}, "connect_timeout": 1},
                },
            ).read("a")
        assert "not-a-real-secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://127.0.0.1:1/x", "of http:// that is not known; use it as a source"),
        ("data://x", "of data:// that is not known; use it as a source"),
        ("unknown-thing://x", "unknown-thing; install what it names"),
        ("reference://x", "give its options"),
        ("simplecache::s3://bucket/x", "chain of file systems"),
        ("filecache::memory://x", "chain of file systems"),
        ("dir::memory://x", "chain of file systems"),
        ("zip://inside::/some/archive.zip", "chain of file systems"),
    ],
)
def test_a_store_that_cannot_keep_the_promises_is_refused(url, words):
    store = Store(url)
    for call in (lambda: store.put_if_absent("a", b""), lambda: store.write("a", b""), store.probe):
        with pytest.raises(UnsupportedStore, match=words):
            call()


@pytest.mark.parametrize(
    ("url", "package", "extra"),
    [
        ("gs://bucket/x", "gcsfs", "gcs"),
        ("az://bucket/x", "adlfs", "azure"),
        ("abfs://b@a/x", "adlfs", "azure"),
    ],
)
def test_a_package_that_is_not_installed_is_named(monkeypatch, url, package, extra):
    import fsspec

    monkeypatch.delitem(fsspec.registry, url.partition(":")[0], raising=False)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(UnsupportedStore, match=rf"nstall {package}.*install lepton-ai\[{extra}\]"):
        Store(url).read("a")


@pytest.mark.parametrize("url", ["", " ", "s3://", "file://relative", "a\0b"])
def test_refuses_a_url_that_leads_nowhere(url):
    with pytest.raises(InvalidInput, match="URL of a store"):
        Store(url)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("s3://bucket/a@b", "s3://bucket/a@b"),
        ("s3://key:secret@bucket/a", "s3://***@bucket/a"),
        ("https://token@host/x", "https://***@host/x"),
        ("https://user:p@ss@host/x", "https://***@host/x"),
        ("https://host/x?sig=abc&se=1#frag", "https://host/x?sig=***&se=***#***"),
        ("simplecache::https://u:p@h/x", "simplecache::https://***@h/x"),
        ("abfs://container@account.dfs/x", "abfs://container@account.dfs/x"),
        ("abfs://container:key@account/x", "abfs://***@account/x"),
        ("/plain/path?x=1", "/plain/path?x=1"),
        ("cannot open https://u:p@h/x?k=v, sorry", "cannot open https://***@h/x?k=*** sorry"),
    ],
)
def test_secrets_in_urls_are_hidden(url, shown):
    assert redact(url) == shown


def test_digests():
    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert sha256_bytes(b"") == sha256_stream([]) == empty
    assert sha256_stream([b"a", b"", b"bc"]) == sha256_bytes(b"abc")


@pytest.mark.parametrize(
    "value",
    [math.nan, math.inf, {1: 2}, {None: 1}, [{"a": {1: 1}}], b"x", {1, 2}, "\ud800", object()],
)
def test_canonical_json_refuses(value):
    with pytest.raises(InvalidInput, match="canonical JSON"):
        canonical_json(value)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner)
    ),
)


@settings(deadline=None, max_examples=50)
@given(JSON)
def test_canonical_json_is_one_encoding(value):
    data = canonical_json(value)
    assert json.loads(data) == value
    assert canonical_json(json.loads(data)) == data


def test_canonical_json_does_not_depend_on_the_order_of_keys():
    assert canonical_json({"b": 1, "a": (1, "é")}) == '{"a":[1,"é"],"b":1}'.encode()
