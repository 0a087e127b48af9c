"""What may be secret is masked: of options all but what is known, of addresses, of errors."""

import pickle
from typing import Any

import fsspec
import pytest
from fsspec.spec import AbstractFileSystem

from storage.base import redaction
from storage.base.errors import StorageError
from storage.base.redaction import mask_options, redact, redact_said, remember_secrets
from storage.base.shown import show_value
from storage.base.store import Store
from storage.sources.addresses import find_file
from storage.sources.csv import CsvSource
from storage.sources.listing import list_files, read_files
from storage.sources.opening import open_stream, read_file
from tests.spellings import OPTIONS, SECRET, URLS

HARMLESS = {
    "anon": True,
    "requester_pays": False,
    "timeout": 30,
    "endpoint_url": "http://127.0.0.1:9000",
    "client_kwargs": {"region_name": "eu-west-1", "endpoint_url": "http://minio:9000/x"},
    "config_kwargs": {"s3": {"addressing_style": "path"}, "retries": {"max_attempts": 2}},
    "max-concurrency": 4,
}


class Leaky(AbstractFileSystem):
    """A client whose every error repeats what it was given, in its own spelling."""

    protocol = "leaky"
    cachable = False

    def _say(self, *arguments: Any, **options: Any) -> Any:
        parts = [f"{name}: {value}" for name, value in self.storage_options.items()]
        raise OSError(f"403 for {arguments}: {'; '.join(parts)} and {self.storage_options!r}")

    info = ls = find = glob = isfile = exists = cat_file = cat = _open = open = _say
    pipe = pipe_file = _say


@pytest.fixture(scope="module", autouse=True)
def leaky() -> None:
    fsspec.register_implementation("leaky", Leaky, clobber=True)


@pytest.mark.parametrize("options", OPTIONS.values(), ids=list(OPTIONS))
def test_of_options_only_what_is_known_is_shown(options: dict[str, Any]) -> None:
    assert SECRET not in str(mask_options(options))
    source = CsvSource(url="d.csv", options=options)
    assert SECRET not in source.model_dump_json() + repr(source)
    assert SECRET in str(source.model_dump())


def test_harmless_options_are_shown_as_they_are() -> None:
    assert mask_options(HARMLESS) == HARMLESS
    assert mask_options({"endpoint_url": ["a", None], "foo": [1, True]}) == {
        "endpoint_url": ["a", None],
        "foo": ["***", True],
    }
    masked = mask_options({"secret": "x", "client_kwargs": {"key": 1}, "a b": {"c": "d"}})
    assert masked == {"secret": "***", "client_kwargs": {"key": "***"}, "***": {"c": "***"}}


@pytest.mark.parametrize("url", URLS.values(), ids=list(URLS))
def test_of_addresses_the_secret_part_is_masked(url: str) -> None:
    shown = redact(url)
    assert SECRET not in shown
    assert "***" in shown
    assert redact(shown) == shown
    assert SECRET not in redact(f"cannot open '{url}': refused") + show_value(url)


@pytest.mark.parametrize(
    "text",
    [
        "s3://bucket/part-?.csv",
        "s3://bucket/part-??",
        "gs://bucket/a?/*.csv",
        "s3://bucket/someone@example.com/d.csv",
        "https://host:8080/a@b",
        "http://[::1]:80/x",
        "cannot reach http://127.0.0.1:8080: refused",
        "zip://inside::https://host/x.zip",
        "abfs://container@account/x",
        "/data/a:b@c/token=1/d.csv",
        "rows of key: time must be sorted",
        "https://host/x?",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert redact(text) == text


@pytest.mark.parametrize("options", OPTIONS.values(), ids=list(OPTIONS))
def test_a_clients_error_does_not_repeat_its_options(options: dict[str, Any]) -> None:
    url = "leaky:///data/d.csv"
    source = pickle.loads(pickle.dumps(CsvSource(url=url, options=options)))
    calls = [
        lambda: list_files(source.url, source.options, (".csv",), 9),
        lambda: open_stream(source.url, source.options, "d.csv").__enter__(),
        lambda: read_file(source.url, source.options),
        lambda: find_file(source.url, source.options, ("d.csv",)),
        lambda: read_files(source.url, source.options, ["d.csv"], 9),
        lambda: Store(url, options).read("d.csv"),
        lambda: Store(url, options).exists("d.csv"),
    ]
    for call in calls:
        with pytest.raises(StorageError, match="403") as caught:
            call()
        assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    "said",
    [
        "Authorization: Bearer abcdefgh12",
        "{'x-api-key': 'abcdefgh12'}",
        "AccountKey=abcdefgh12==;EndpointSuffix=core",
        "password = abcdefgh12, try again",
        'token="abcdefgh12"',
        "at https://u:abcdefgh12@host/x",
        "Basic abcdefgh12==",
    ],
)
def test_what_stands_behind_the_name_of_a_secret_is_masked(said: str) -> None:
    assert "abcdefgh12" not in redact_said(said)


def test_what_was_given_may_be_a_part_of_a_secrets_name_or_hold_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(redaction, "_known", {})  # Other tests' clients were given others.
    remember_secrets("ftp://host", {"pwd": "x-api", "other": "token=abcdefgh12 and more of it"})
    assert redact_said("{'x-api-key': 'abcdefgh12'}") == "{'***-key': ***}"
    assert redact_said("got token=abcdefgh12 and more of it") == "got ***"
    assert redact_said("x-apix-api, x-api") == "***, ***"


def test_what_was_given_is_masked_in_every_spelling() -> None:
    remember_secrets("ftp://me:q%2Fr%3Ds1@host", {"pwd": "a/b c+d'e"})
    for said in ("q%2Fr%3Ds1", "q/r=s1", "a/b c+d'e", "a%2Fb%20c%2Bd%27e", "a%2Fb+c%2Bd%27e"):
        assert redact_said(f"refused: [{said}]") == "refused: [***]"
