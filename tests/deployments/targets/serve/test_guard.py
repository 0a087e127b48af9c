"""Who may ask: a key of the folder, for what it asks, as often as it may; nobody else, nothing."""

import base64
import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from deployments.targets.errors import KeyAbsent, KeyStoreError
from deployments.targets.serve import guard
from deployments.targets.serve.app import make_app
from deployments.targets.serve.guard import Guard, KeyFolder
from deployments.targets.trust.api_keys import (
    ACCESSES,
    add_api_key,
    drop_api_key,
    find_api_key,
    list_api_keys,
    locate_api_keys,
)
from tests.deployments.targets.serve.asking import Node, Reply
from tests.deployments.targets.serve.test_answers import DIGIT, write_npy
from tests.flows.material import call

SAMPLE = write_npy(DIGIT)
TRUTH = {"answer_id": "serve-1:1", "truth": "3"}


@pytest.fixture
def guarded(pictures: Node) -> Node:
    """A node that asks for keys, of which there are none yet."""
    locate_api_keys().mkdir(parents=True, mode=0o700)
    pictures.app = Guard(pictures.app, KeyFolder())
    return pictures


@pytest.fixture(autouse=True)
def _look_always(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "LOOK_EVERY_S", 0.0)


def ask(node: Node, key: str | None, path: str = "/predict/digits", body: object = SAMPLE) -> Reply:
    headers = {} if key is None else {"authorization": f"Bearer {key}"}
    return node.post(path, body, "application/octet-stream", **headers)


def get(node: Node, path: str, key: str) -> Reply:
    return node.send("GET", path, [b""], authorization=f"bearer  {key}")


def test_only_a_key_that_is_known_is_answered(guarded: Node) -> None:
    _, key = add_api_key("app", ("predict",))
    assert ask(guarded, key).status == 200
    wrong = [None, "", "x", key[:-1], key + "x", key.upper(), key[:20] + "A" * 43, "é" * 40]
    for shown in wrong:
        refused = ask(guarded, None if shown is None else shown.encode().decode("latin-1"))
        assert (refused.status, refused.headers[b"connection"]) == (401, b"close")
        assert refused.headers[b"www-authenticate"].startswith(b"Bearer")
        assert "Authorization: Bearer KEY" in refused.json["error"]


def test_a_browser_asks_its_reader_for_the_key(guarded: Node) -> None:
    _, key = add_api_key("app", ("predict",))
    asked = guarded.send("GET", "/", [b""], accept="text/html")
    assert (asked.status, asked.headers[b"www-authenticate"][:5]) == (401, b"Basic")
    for user in ("", "me"):
        said = base64.b64encode(f"{user}:{key}".encode()).decode()
        assert guarded.send("GET", "/", [b""], authorization=f"Basic {said}").status == 200
    for bad in (
        "Basic !",
        "Basic " + base64.b64encode(b"\xff\xfe:x").decode(),
        "Digest x",
        "Basic",
    ):
        assert guarded.send("GET", "/", [b""], authorization=bad).status == 401


@pytest.mark.parametrize("scope", ACCESSES)
def test_a_key_is_for_its_scope_alone(guarded: Node, scope: str) -> None:
    _, key = add_api_key("app", (scope,))
    replies = {
        "predict": [
            ask(guarded, key),
            ask(guarded, key, "/v2/models/digits/infer", {}),
            get(guarded, "/v2", key),
            get(guarded, "/nothing", key),
        ],
        "feedback": [ask(guarded, key, "/feedback", TRUTH)],
        "uplink": [ask(guarded, key, "/uplink", b"x")],
        "admin": [get(guarded, "/health", key)],
    }
    for asked, found in replies.items():
        for reply in found:
            refused = reply.status == 403 and b"must have the scope" in reply.body
            assert refused == (asked != scope), (asked, reply)


def test_whether_it_lives_is_said_to_everybody(guarded: Node) -> None:
    for path in ("/v2/health/live", "/v2/health/ready"):
        assert guarded.get(path).status == 200
    for path in (
        "/",
        "/health",
        "/v2",
        "/v2/models/digits",
        "/v2/health/live/",
        "//v2/health/live",
    ):
        assert guarded.get(path).status == 401


def test_nothing_of_a_body_is_read_of_who_has_no_key(guarded: Node) -> None:
    assert guarded.send("POST", "/predict/digits", []).status == 401
    assert guarded.recorder._next == 1


def test_a_dropped_key_is_refused_and_the_last_one_opens_nothing(guarded: Node) -> None:
    first, key = add_api_key("app", ("predict",))
    _, other = add_api_key("other", ("predict",))
    assert [ask(guarded, shown).status for shown in (key, other)] == [200, 200]
    drop_api_key(first.id)
    assert [ask(guarded, shown).status for shown in (key, other)] == [401, 200]
    for id in list_api_keys():
        drop_api_key(id)
    assert [ask(guarded, shown).status for shown in (key, other, None)] == [401] * 3


def test_a_key_dropped_within_a_tick_of_the_clock_is_refused(guarded: Node) -> None:
    """Of two changes in one tick the second leaves the folder's time as it was."""
    first, key = add_api_key("app", ("predict",))
    changed = locate_api_keys().stat()
    assert ask(guarded, key).status == 200
    drop_api_key(first.id)
    os.utime(locate_api_keys(), ns=(changed.st_atime_ns, changed.st_mtime_ns))
    assert ask(guarded, key).status == 401


def test_keys_that_cannot_be_read_open_nothing(guarded: Node) -> None:
    _, key = add_api_key("app", ("predict",))
    assert ask(guarded, key).status == 200
    damaged = locate_api_keys() / "0123456789ab.json"
    damaged.write_text("{}")
    damaged.chmod(0o600)
    assert ask(guarded, key).status == 401
    damaged.unlink()
    assert ask(guarded, key).status == 200
    damaged.write_text("{}")
    damaged.chmod(0o600)
    with pytest.raises(KeyStoreError, match="must follow its format"):
        KeyFolder()


def test_a_rate_is_kept_and_says_when_to_come_again(
    guarded: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_s = [time.monotonic()]
    monkeypatch.setattr(guard, "time", SimpleNamespace(monotonic=lambda: now_s[0], time=time.time))
    monkeypatch.setattr(guard, "LOOK_EVERY_S", -1.0)
    _, key = add_api_key("app", ("predict",), rate_per_s=4)
    _, free = add_api_key("free", ("predict",))

    def count(asked: int) -> int:
        return sum(get(guarded, "/v2", key).status == 200 for _ in range(asked))

    assert count(9) == 4
    refused = ask(guarded, key)
    assert (refused.status, refused.headers[b"retry-after"]) == (429, b"1")
    assert get(guarded, "/v2", free).status == 200
    now_s[0] += 0.5
    assert count(9) == 2
    now_s[0] += 100
    assert count(9) == 4


def test_processes_share_a_rate(pictures: Node) -> None:
    _, key = add_api_key("app", ("predict",), rate_per_s=8)
    pictures.app = make_app(
        pictures.held, pictures.recorder, names=[], health=dict, keys=KeyFolder(), processes=4
    )
    statuses = [get(pictures, "/v2", key).status for _ in range(3)]
    assert statuses == [200, 200, 429]


def test_a_key_ends(guarded: Node) -> None:
    record, key = add_api_key("app", ("predict",), days=1)
    assert ask(guarded, key).status == 200
    now = datetime.now(UTC)
    assert find_api_key({record.id: record}, key, now) == record
    assert find_api_key({record.id: record}, key, now + timedelta(days=1, seconds=1)) is None


def test_what_is_kept_of_a_key_opens_nothing(tmp_path: Path) -> None:
    record, key = add_api_key("app", ("predict",), folder=tmp_path / "keys")
    (file,) = (tmp_path / "keys").iterdir()
    text = file.read_text()
    assert key.rpartition("_")[2] not in text
    assert file.stat().st_mode & 0o777 == 0o600
    assert find_api_key({record.id: record}, text, datetime.now(UTC)) is None
    assert find_api_key({record.id: record}, record.sha256, datetime.now(UTC)) is None


def test_keys_are_made_listed_and_dropped_by_commands(tmp_path: Path) -> None:
    folder = str(tmp_path / "keys")
    made = call("keys", "api", "add", "app", "--scope", "predict", "--rate", "5", "--into", folder)
    assert made.status == 0, made.messages
    key = made.out.strip()
    (record,) = list_api_keys(Path(folder)).values()
    assert find_api_key({record.id: record}, key, datetime.now(UTC)) == record
    assert key not in made.messages
    listed = call("keys", "api", "list", "--into", folder)
    assert listed.out == f"{record.id}  app  predict  5/s  no end\n"
    assert record.sha256 not in call("keys", "api", "list", "--into", folder, "--json").out
    assert call("keys", "api", "drop", record.id, "--into", folder).status == 0
    assert call("keys", "api", "list", "--into", folder).out == ""
    again = call("keys", "api", "drop", record.id, "--into", folder)
    assert (again.status, "must be one of those" in again.messages) == (1, True)
    bad = call("keys", "api", "add", "app", "--scope", "all", "--into", folder)
    assert (bad.status, "scope must be one of predict" in bad.messages) == (2, True)
    for option in (
        ("--rate", "0"),
        ("--rate", "nan"),
        ("--days", "1e12"),
        ("--days", "nan"),
        ("--days", "-1"),
    ):
        bad = call("keys", "api", "add", "app", *option, "--into", folder)
        assert (bad.status, "API key must have" in bad.messages) == (1, True), bad.messages
    with pytest.raises(KeyAbsent):
        drop_api_key("x", Path(folder))
