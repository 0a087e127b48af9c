"""The contract of stores: what every store must do."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from storage.base.errors import InvalidInput, NotFound, StorageError
from storage.base.store import Store


class StoreContract:
    """States what every store promises; a subclass gives a fixture `store`, empty and fresh."""

    def test_reads_what_was_written(self, store: Store) -> None:
        store.write("a/b.bin", b"1")
        store.write("a/b.bin", b"22")
        assert store.read("a/b.bin") == b"22"
        assert (
            store.size("a/b.bin"),
            store.exists("a/b.bin"),
            store.exists("a"),
            store.exists("a/c"),
        ) == (
            2,
            True,
            False,
            False,
        )
        assert abs(store.modified("a/b.bin") - datetime.now(UTC)) < timedelta(seconds=60)

    def test_scratch_files_are_files(self, store: Store) -> None:
        store.write_scratch("s/a", b"1")
        store.write_scratch("s/a", b"22")
        assert store.read_range("s/a", 1, 2) == b"2"
        assert store.list() == ["s/a"]

    def test_writes_several_files(self, store: Store) -> None:
        files = {f"d/{i}/x": bytes([i]) * i for i in range(20)}
        store.write_files(files)
        assert {path: store.read(path) for path in store.list()} == files
        store.write_files({})

    @pytest.mark.parametrize(
        ("start", "end", "expected"),
        [(0, 3, b"012"), (2, 4, b"23"), (8, 99, b"89"), (10, 12, b""), (50, 60, b""), (4, 4, b"")],
    )
    def test_reads_a_range(self, store: Store, start: int, end: int, expected: bytes) -> None:
        store.write("a", b"0123456789")
        assert store.read_range("a", start, end) == expected

    def test_refuses_a_reversed_range(self, store: Store) -> None:
        with pytest.raises(InvalidInput, match="start <= end"):
            store.read_range("a", 3, 1)

    @pytest.mark.parametrize("call", ["read", "size", "modified"])
    def test_names_a_missing_file(self, store: Store, call: str) -> None:
        with pytest.raises(NotFound, match=r"nothing/here") as caught:
            getattr(store, call)("nothing/here")
        assert isinstance(caught.value, StorageError)

    def test_creates_once(self, store: Store) -> None:
        assert store.put_if_absent("log/0", b"mine") is True
        assert store.put_if_absent("log/0", b"other") is False
        assert store.read("log/0") == b"mine"

    def test_of_racing_writers_one_wins(self, store: Store) -> None:
        store.put_if_absent("warm", b"")
        for turn in range(5):
            with ThreadPoolExecutor(8) as threads:
                won = list(
                    threads.map(
                        lambda i, turn=turn: store.put_if_absent(f"race/{turn}", bytes([i])),
                        range(8),
                    )
                )
            assert won.count(True) == 1
            assert store.read(f"race/{turn}") == bytes([won.index(True)])

    def test_lists(self, store: Store) -> None:
        store.write_files({"a/x": b"", "a/b/y": b"", "c": b""})
        assert store.list() == ["a/b/y", "a/x", "c"]
        assert store.list("a") == ["a/b/y", "a/x"]
        assert store.listdir() == ["a", "c"]
        assert store.listdir("a") == ["b", "x"]
        assert store.child("a").list() == ["b/y", "x"]
        assert store.child("a", "b").read("y") == b""

    def test_what_is_not_there_is_empty(self, store: Store) -> None:
        assert (
            store.list("nowhere") == store.listdir("nowhere") == store.child("nowhere").list() == []
        )

    def test_a_folder_is_no_prefix(self, store: Store) -> None:
        store.write_files({"ab/x": b"", "abc/y": b""})
        assert store.list("ab") == ["ab/x"]
        assert store.child("ab").list() == ["x"]

    def test_deletes(self, store: Store) -> None:
        store.write_files({"a/b/x": b"", "a/y": b""})
        store.delete("a/b/x")
        store.delete("a/b/x")
        assert store.listdir("a") == ["y"]
        store.write("a/b/x", b"again")
        assert store.read("a/b/x") == b"again"

    @pytest.mark.parametrize("path", ["/a", "../a", "a/../b", "./a", "a/.", "a\0b", "", "/"])
    def test_refuses_a_path_that_leads_out(self, store: Store, path: str) -> None:
        for call in (
            store.read,
            store.delete,
            lambda p: store.write(p, b""),
            lambda p: store.put_if_absent(p, b""),
            store.child,
        ):
            with pytest.raises(StorageError):
                call(path)

    @pytest.mark.parametrize(
        "name", ["with space", "ümläut", "a+b=c,d", "100%", "a#b", "a?b", "tab\tx", "[1]*"]
    )
    def test_takes_any_name(self, store: Store, name: str) -> None:
        store.write(f"odd/{name}/{name}", name.encode())
        assert store.listdir("odd") == [name]
        assert store.list("odd") == [f"odd/{name}/{name}"]
        assert store.read(f"odd/{name}/{name}") == name.encode()

    def test_probes(self, store: Store) -> None:
        store.probe()
        assert store.list() == []

    def test_address(self, store: Store) -> None:
        assert store.address() == store.url
        assert store.address("a/b") == f"{store.url}/a/b"
        assert "not-a-real-secret" not in repr(store) + store.display
