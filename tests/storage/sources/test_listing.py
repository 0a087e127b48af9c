"""Which files a URL means: links, odd names, queries, and what is passed over."""

import os
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from storage.base.errors import SourceError, SourceUnavailable
from storage.sources.addresses import join_url
from storage.sources.listing import find_files, list_files, read_files
from storage.sources.opening import open_stream

PICTURES = (".png", ".jpg")
TABLES = (".csv", ".txt", ".csv.gz")


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x\n")


def test_linked_folders_are_read(tmp_path):
    touch(tmp_path, "data/cat/1.png", "store/more/2.png", "store/more/deep/3.png")
    (tmp_path / "data/cat/more").symlink_to(tmp_path / "store/more")
    (tmp_path / "data/dog").symlink_to(tmp_path / "store/more")
    names = list_files(str(tmp_path / "data"), {}, PICTURES, 10)[1]
    assert names == [
        "cat/1.png",
        "cat/more/2.png",
        "cat/more/deep/3.png",
        "dog/2.png",
        "dog/deep/3.png",
    ]


def test_a_link_to_the_folder_around_it_ends(tmp_path):
    touch(tmp_path, "a/1.png", "b/2.png")
    (tmp_path / "a/up").symlink_to(tmp_path)
    (tmp_path / "b/self").symlink_to(tmp_path / "b")
    assert list_files(str(tmp_path), {}, PICTURES, 10)[1] == ["a/1.png", "b/2.png"]


def test_folders_that_link_to_each_other_again_and_again_are_told(tmp_path):
    for number in range(12):
        touch(tmp_path, f"{number}/1.png")
    for one in range(12):
        for other in range(12):
            (tmp_path / f"{one}/to{other}").symlink_to(tmp_path / str(other))
    with pytest.raises(SourceUnavailable, match="links"):
        list_files(str(tmp_path), {}, PICTURES, 10)


def test_a_folder_that_cannot_be_read_is_told(tmp_path, monkeypatch):
    touch(tmp_path, "a/1.png", "b/2.png")
    whole = os.scandir

    def refuse(folder):
        if str(folder).endswith("/b"):
            raise PermissionError(13, "Permission denied")
        return whole(folder)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(SourceUnavailable, match=r"/b.*Permission denied"):
        list_files(str(tmp_path), {}, PICTURES, 10)


@pytest.mark.parametrize("folder", ["train [1]", "what?", "all*", "[a-"])
def test_a_path_that_exists_is_no_glob(tmp_path, folder):
    touch(tmp_path, f"{folder}/x.csv")
    root, names = list_files(f"{tmp_path}/{folder}", {}, TABLES, 10)
    assert names == ["x.csv"]
    with open_stream(join_url(root, names[0]), {}, names[0]) as stream:
        assert stream.read(9) == b"x\n"
    assert list_files(f"{tmp_path}/{folder}/x.csv", {}, TABLES, 10)[1] == ["x.csv"]


def test_globs_still_choose(tmp_path):
    touch(tmp_path, "a1/x.csv", "a2/x.csv", "b1/x.csv")
    assert list_files(f"{tmp_path}/a[12]", {}, TABLES, 9)[1] == ["a1/x.csv", "a2/x.csv"]
    assert list_files(f"{tmp_path}/*1/x.csv", {}, TABLES, 9)[1] == ["a1/x.csv", "b1/x.csv"]


def test_every_text_may_be_compressed(tmp_path):
    touch(tmp_path, "a.txt.gz", "b.csv.xz", "c.csv.lzma", "d.parquet")
    assert list_files(str(tmp_path), {}, TABLES, 9)[1] == ["a.txt.gz", "b.csv.xz", "c.csv.lzma"]
    touch(tmp_path, "e.png", "f.png.gz")
    assert list_files(str(tmp_path), {}, PICTURES, 9)[1] == ["e.png"]


def test_what_is_passed_over_is_counted(tmp_path):
    touch(tmp_path, "a.png", "b.webp", "c.WEBP", "notes", ".hidden.webp", ".git/x.webp")
    assert find_files(str(tmp_path), {}, PICTURES, 9).passed_over == {"": 1, ".webp": 2}


@pytest.mark.parametrize("sign", ["runs/7/journal.json", f"datasets/x/log/{0:020}.json"])
def test_a_workspace_in_a_folder_of_data_is_no_part_of_it(tmp_path, sign):
    touch(tmp_path, "a.png", "b.webp", "w/ork/reports/7/1.png", f"w/ork/{sign}")
    touch(tmp_path, "runs/1.png", "datasets/x/log/2.png")
    found = find_files(str(tmp_path), {}, PICTURES, 9)
    assert found.names == ["a.png", "datasets/x/log/2.png", "runs/1.png"]
    assert found.passed_over == {".webp": 1}


def test_names_that_are_no_text_are_told(tmp_path):
    touch(tmp_path, "a.png")
    touch(tmp_path, os.fsdecode(b"b\xff.png"))
    found = find_files(str(tmp_path), {}, PICTURES, 9)
    assert (found.names, found.unnamed) == (["a.png"], ("b\\udcff.png",))
    with pytest.raises(SourceUnavailable, match="UTF-8"):
        list_files(str(tmp_path), {}, PICTURES, 9)


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *words):
        pass


@pytest.mark.parametrize("cache", ["", "simplecache::"])
def test_a_query_is_no_part_of_the_name(tmp_path, cache):
    touch(tmp_path, "data.csv")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        url = f"{cache}http://127.0.0.1:{server.server_port}/data.csv?token=hunter2&v=[1]"
        root, names = list_files(url, {}, TABLES, 9)
        assert names == ["data.csv"]
        assert join_url(root, "data.csv") == url
        with open_stream(url, {}, names[0]) as stream:
            assert stream.read(9) == b"x\n"
            stream.finish()
    finally:
        server.shutdown()
        server.server_close()


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.csv")
    with (
        pytest.raises(SourceUnavailable, match="a pipe"),
        open_stream(str(tmp_path / "a.csv"), {}, "a.csv"),
    ):
        pass
    (said,) = read_files(f"file://{tmp_path}", {}, ["a.csv"], 1 << 20)
    assert "a pipe" in said


@pytest.mark.parametrize("how", ["in place", "replaced"])
def test_a_file_written_while_it_is_read_is_noticed(tmp_path, how):
    path = tmp_path / "a.csv"
    path.write_bytes(b"1\n" * 100)
    with open_stream(str(path), {}, "a.csv") as stream:
        stream.read(3)
        if how == "in place":
            path.write_bytes(b"2\n" * 101)
        else:
            (tmp_path / "b").write_bytes(b"2\n" * 100)
            (tmp_path / "b").replace(path)
        with pytest.raises(SourceError, match=r"a\.csv.*stay as it is"):
            stream.finish()
