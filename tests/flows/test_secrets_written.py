"""A recipe full of secrets, from its source to a served answer: nothing written holds one of them.

What is looked through: the workspace, every file of a run at work, caches and channels, all tables
of Prefect's database with its log, the console, command lines of child processes, the answers.
"""

import json
import os
import secrets
import sqlite3
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext, suppress
from functools import partial
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import psutil
import pytest
import yaml
from prefect.logging.handlers import APILogHandler

from deployments.targets.run.live import Runtime
from tests.deployments.targets.serve.asking import Node
from tests.flows.material import Outcome, call
from tests.spellings import OPTIONS, SECRET, URLS
from tests.storage.sources.test_listing import Quiet

pytestmark = pytest.mark.prefect
HOMES = ("CONFIG", "CACHE")


class Watch:
    """Looks again and again through the files of runs at work, and at what child processes are."""

    def __init__(self, folders: list[Path], needles: list[bytes]) -> None:
        self.found: set[str] = set()
        self.looks = 0
        self._folders, self._needles = folders, needles
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def look(self) -> None:
        """Notes every file and every command line that holds a secret."""
        self.found |= list_holding(self._folders, self._needles)
        for child in psutil.Process().children(recursive=True):
            try:
                line = " ".join(child.cmdline())
            except psutil.Error:
                continue
            if holds(line.encode(), self._needles):
                self.found.add(line)
        self.looks += 1

    def _run(self) -> None:
        while not self._over.wait(1.5):
            self.look()


def list_holding(folders: list[Path], needles: list[bytes]) -> set[str]:
    """Return the paths of the files below folders that hold one of these."""
    found = set()
    for path in (path for folder in folders for path in folder.rglob("*")):
        with suppress(OSError):  # a folder, or gone
            if holds(path.read_bytes(), needles):
                found.add(str(path))
    return found


def holds(data: bytes, needles: list[bytes]) -> bool:
    return any(needle in data for needle in needles)


def read_database() -> str:
    """Return all rows of all tables of Prefect's database, once its log has been written."""
    APILogHandler().flush()
    time.sleep(1)  # the server writes events and logs a little later
    found = []
    path = Path(os.environ["PREFECT_HOME"]) / "prefect.db"
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        names = [row[0] for row in database.execute("select name from sqlite_master")]
        for name in names:
            with suppress(sqlite3.Error):  # an index is no table
                found += [repr(row) for row in database.execute(f'select * from "{name}"')]
    return "\n".join(found)


def plant(value: Any, secret: str) -> Any:
    """Return options or an address with a secret of this test in them."""
    return json.loads(json.dumps(value).replace(SECRET, secret))


def write_rows(path: Path) -> None:
    random = np.random.default_rng(0)
    values = random.normal(size=(400, 2))
    labels = np.where(values[:, 0] + values[:, 1] + random.normal(size=400) > 0, "up", "down")
    lines = [f"{x!r},{y!r},{label}" for (x, y), label in zip(values.tolist(), labels, strict=True)]
    path.write_text("x,y,label\n" + "\n".join(lines) + "\n")


def make_recipe(source: dict[str, Any], secret: str) -> dict[str, Any]:
    return {
        "format": 1,
        "name": "guarded",
        "description": f"rows of {plant(URLS['user'], secret)}",
        "kind": "tabular-classification",
        "source": {"type": "csv", **source},
        "data": {
            "kind": "table",
            "numbers": ["x", "y"],
            "label": "label",
            "labels": ["down", "up"],
        },
        "model": {"network": {"family": "closed_linear"}},
        "train": {"precision": "fp32"},
        "gates": {"model": {"min_accuracy": 0.6, "min_skill": -1.0, "max_calibration_error": 1}},
        "targets": {"edge": {}},
    }


def give_options(folder: Path, secret: str) -> tuple[dict[str, Any], list[str]]:
    """Options of a file system in all their spellings; some by the recipe, some by `--set`."""
    every = {f"option-{number}": value for number, value in enumerate(OPTIONS.values())}
    every |= {name: value for options in OPTIONS.values() for name, value in options.items()}
    planted = plant(every, secret)
    settings = [f"--set=source.options.{name}={secret}" for name in ("password", "colour")]
    return {"url": f"file://{folder}/d.csv", "options": planted}, settings


class Telltale(Quiet):
    """A server that lets nobody in, and repeats what it was asked with."""

    def do_GET(self) -> None:  # noqa: N802
        self.send_error(403, f"no {self.path}", f"{self.path} {self.headers}")

    do_HEAD = do_GET  # noqa: N815


@contextmanager
def give_address(
    folder: Path, secret: str, kind: type[Quiet] = Quiet
) -> Iterator[tuple[dict[str, Any], list[str]]]:
    """An address that a web server answers, with a user, a query, a fragment, headers, cookies."""
    handler = partial(kind, directory=str(folder))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    host = f"127.0.0.1:{server.server_port}"
    coded = quote(secret, safe="")
    url = f"http://user:{coded}@{host}/d.csv?token={coded}&{coded}#{coded}"
    options = {"headers": {"X-Api-Key": secret}, "client_kwargs": {"cookies": {"session": secret}}}
    try:
        yield {"url": f"http://{host}/d.csv", "options": options}, [f"--set=source.url={url}"]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def run(given: tuple[dict[str, Any], list[str]], secret: str, folder: Path, dask: str) -> Outcome:
    """Runs a recipe with that source."""
    source, settings = given
    recipe = folder / "recipe.yaml"
    recipe.write_text(yaml.safe_dump(make_recipe(source, secret)))
    workspace = str(folder / "workspace")
    command = ("run", str(recipe), "--workspace", workspace, "--scheduler", dask, "--json")
    return call(*command, *settings)


def ask(done: Outcome, secret: str, folder: Path) -> list[str]:
    """Asks the promoted model with a file and over HTTP, and traces it; returns what was said."""
    assert done.status == 0, done.messages
    assert list_holding([folder / "workspace"], [b"guarded"])  # what is written can be read
    asked = folder / "asked.csv"
    asked.write_text(f"x,y,label\n2.5,1,{secret}\n")
    workspace = str(folder / "workspace")
    told = call("predict", "edge", str(asked), "--workspace", workspace, "--json")
    assert json.loads(told.out)["label"] == "up"
    node = Node(Runtime("edge", workspace))  # type: ignore[arg-type]
    served = node.post("/predict/cloud", asked.read_bytes(), "text/csv")
    assert served.json["predictions"][0]["label"] == "up"
    traced = call("trace", done.summary["model_id"], "--workspace", workspace, "--json")
    return [told.out, told.messages, served.body.decode(), traced.out]


def fail(done: Outcome, secret: str, folder: Path) -> list[str]:
    """Sees that a source that could not be read ended the run."""
    assert done.status == 1
    assert "403" in done.messages
    return []


SLOW = pytest.mark.slow
WAYS = [
    pytest.param(
        lambda folder, secret: nullcontext(give_options(folder, secret)), ask, id="options"
    ),
    pytest.param(give_address, ask, id="address", marks=SLOW),
    pytest.param(partial(give_address, kind=Telltale), fail, id="refused", marks=SLOW),
]


@pytest.mark.parametrize(("give", "go_on"), WAYS)
def test_from_the_source_to_a_served_answer_no_secret_is_written(
    give: Callable[[Path, str], AbstractContextManager[tuple[dict[str, Any], list[str]]]],
    go_on: Callable[[Outcome, str, Path], list[str]],
    tmp_path: Path,
    prefect_url: str,
    dask_scheduler: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    secret = f"q{secrets.token_hex(8)}/Z"
    coded = [b64encode(f"user:{secret}".encode()), secret.encode("utf-16-le")]
    needles = [secret.encode(), quote(secret, safe="").encode(), *coded]
    data = tmp_path / "data"
    data.mkdir()
    write_rows(data / "d.csv")
    for name in ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "SOURCE_PASSWORD"):
        monkeypatch.setenv(name, secret)
    homes = [tmp_path / "workspace", *(Path(os.environ[f"LEPTON_{name}_DIR"]) for name in HOMES)]
    with Watch(homes, needles) as watch, give(data, secret) as given:
        done = run(given, secret, tmp_path, dask_scheduler)
        said = [done.out, done.messages, *go_on(done, secret, tmp_path)]
    watch.look()
    assert watch.looks > 1
    assert not watch.found
    database = read_database()
    assert "lifecycle" in database
    printed = capfd.readouterr()
    for text in (database, printed.out, printed.err, *said):
        assert not holds(text.encode(), needles)
