"""Takes secrets out of whatever is shown, stored, hashed or handed on: the one place that does.

What may be shown is listed, what is secret is not: an option under any other name than those that
are known to be harmless is masked. Of a URL the user, every value of its query and its fragment go.
A vendor's client repeats what it was given wherever it likes, so its words are searched for the
values, too.
"""

import re
from collections.abc import Iterator, Mapping
from urllib.parse import quote, quote_plus, unquote

from storage.base.harmless import NUMBERS, SECTIONS, WORDS

MASK = "***"
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*(?:::|://)\S*")
# Up to the first slash, as it should be; or, where a password was not escaped, to the last `@`.
_USER = re.compile(
    r"(?<=://)(?:(?P<user>[^/\s?#]*)@|(?P<torn>[^/\s?#@:]*:(?!:|\d*(?:[/?#]|$))\S*)@)"
)
# Behind a colon stands a port, or a password whose `@` was forgotten.
_NO_PORT = re.compile(r"(?<=://)(?P<name>[^/\s?#@:\[]*):(?!:|\d+(?!\w))[^/\s?#@]+")
_QUERY = re.compile(r"(?P<name>[?&;][^=&;#\s]+=)[^&;#\s]*")
_BARE_QUERY = re.compile(r"(?P<mark>[?&;])(?P<value>[^=&;#\s]+)(?=[&;#]|$)")
_FRAGMENT = re.compile(r"#\S*?(?=::|$)")
_CONTAINER_SCHEMES = ("abfs", "abfss", "wasb", "wasbs")
_OBJECT_STORES = ("s3", "s3a", "gs", "gcs", "az", "file", "local", "memory", *_CONTAINER_SCHEMES)
_GUARDED = (
    r"secret|token|passw|passphrase|pwd|credential|signature|auth|cookie|api[-_]?key|"
    r"access[-_]?key|account[-_]?key|private[-_]?key|connection[-_]?string|jwt"
)
_LOGIN = re.compile(r"(?<![\w/@:.*-])[\w.+-]+:(?![:/])[^\s@]{1,200}@(?=[\w.-])")
_PATH_QUERY = re.compile(
    rf"(?P<name>[?&][\w.-]*(?:{_GUARDED}|sig|sas|key)[\w.-]*=)[^&\s#]*", re.IGNORECASE
)
_NAMED = re.compile(
    rf"(?<![\w/.-])(?P<name>[\"']?[\w.-]*(?:{_GUARDED})[\w.-]*[\"']?\s*[=:]\s*)"
    r"(?P<value>\"[^\"]*\"|'[^']*'|(?:Bearer |Basic |AWS4-HMAC-SHA256 )?[^\s,;&)}\]\"']+)",
    re.IGNORECASE,
)
_BEARER = re.compile(r"\b(?:Bearer|Basic) +(?P<value>[A-Za-z0-9._~+/=-]{6,})")
_SCHEMES = ("Bearer", "Basic")
_LEAST, _LEAST_PART = 3, 6
_OPTION = re.compile(r"[A-Za-z][\w.-]{0,60}")
_MOST_KNOWN = 10_000
_known: dict[str, None] = {}


def redact(text: str) -> str:
    """Return a text with the secrets of its URLs replaced by `***`.

    The user information goes, every value of a query, which can be a signature or a token under any
    name, and the fragment. In Azure's `abfs://container@account` the first part is no secret and
    stays. Of a login without a scheme, `user:password@host`, nothing stays but the host.
    """
    found = _URL.sub(lambda match: _redact_url(match.group()), text)
    found = _LOGIN.sub(f"{MASK}@", found) if "@" in found else found
    return _PATH_QUERY.sub(rf"\g<name>{MASK}", found) if "=" in found else found


def redact_said(text: str) -> str:
    """Return what somebody else's code said, without secrets.

    Beside what `redact` takes out, values go that stand behind the name of a secret, and all that
    `remember_secrets` was told of.
    """
    found = redact(text)
    # All are looked for before any is masked: what was given may be a part of a secret's name.
    spans = [match.span("value") for match in (*_NAMED.finditer(found), *_BEARER.finditer(found))]
    for value in tuple(_known):  # As it is now: other threads add to it.
        if value in found:
            spans += [match.span() for match in re.finditer(re.escape(value), found)]
    return _mask_spans(found, spans)


def mask_options(options: Mapping[str, object]) -> dict[str, object]:
    """Return options of a file system as they may be shown and stored.

    Args:
        options: Any, such as `{"anon": True, "pwd": "..."}`.

    Returns:
        The same names; every value but numbers and words under names that are known to be harmless
        is `***`, at any depth.
    """
    return {show_name(name): _mask(_normalise(name), value) for name, value in options.items()}


def remember_secrets(url: str, options: Mapping[str, object]) -> None:
    """Keeps in mind what a client is given, so that its errors can be shown without it.

    Args:
        url: Where it connects to; its user information and the values of its query are secret.
        options: Its options.
    """
    masked = (
        found for name, value in options.items() for found in _list_masked(_normalise(name), value)
    )
    for value in (*masked, *_list_url_secrets(url)):
        spellings = {value, quote(value, safe=""), quote_plus(value), unquote(value)}
        for each in (*spellings, *(repr(each)[1:-1] for each in spellings)):
            if len(each) < _LEAST:
                continue
            # A bound for a process that opens sources without end; the oldest go first.
            while len(_known) >= _MOST_KNOWN:
                _known.pop(next(iter(_known)), None)
            _known[each] = None


def _mask_spans(text: str, spans: list[tuple[int, int]]) -> str:
    """Return a text with `***` in place of each stretch of it, and of those that overlap."""
    shown: list[str] = []
    place = 0
    for start, stop in sorted(spans):
        if start > place or not shown:
            shown += [text[place:start], MASK]
        place = max(place, stop)
    return "".join([*shown, text[place:]])


def show_name(name: object) -> str:
    """Return the name of an option; a text that is no name may be a value in the wrong place."""
    return str(name) if _OPTION.fullmatch(str(name)) else MASK


def _normalise(name: object) -> str:
    return str(name).lower().replace("-", "_")


def _mask(name: str, value: object) -> object:
    """Return the value of an option as it may be shown.

    Args:
        name: Its name, normalised; "" where it is not known to be harmless.
        value: It.
    """
    if isinstance(value, Mapping):
        return {
            show_name(key): _mask(_normalise(key) if name in SECTIONS else "", item)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [_mask(name, item) for item in value]
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        return value if name in NUMBERS | WORDS else MASK
    return redact(str(value)) if name in WORDS else MASK


def _list_masked(name: str, value: object) -> Iterator[str]:
    """Yield the texts and numbers that `_mask` masks, and the parts that they are made of."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _list_masked(_normalise(key) if name in SECTIONS else "", item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _list_masked(name, item)
    elif _mask(name, value) == MASK:
        yield from _list_parts(str(value), _LEAST if isinstance(value, str) else _LEAST_PART)


def _list_parts(value: str, least: int) -> Iterator[str]:
    """Yield a secret, and what it holds behind signs such as `AccountKey=` and `Bearer `."""
    if len(value) >= least:
        yield value
    for part in re.split(r"[;&,\s]+", value):
        piece = part.partition("=")[2] or part
        if len(piece) >= _LEAST_PART and piece != value and piece not in _SCHEMES:
            yield piece


def _list_url_secrets(url: str) -> Iterator[str]:
    for text in _URL.findall(url):
        for match in _USER.finditer(text):
            if not _is_container(text, match):
                user, _, password = match.group()[:-1].partition(":")
                yield from (part for part in (user, password) if len(part) >= _LEAST)
        base, _, fragment = text.partition("#")
        values = [part.partition("=")[2] for part in re.split("[&;]", base.partition("?")[2])]
        yield from (value for value in (*values, fragment) if len(value) >= _LEAST_PART)


def _redact_url(url: str) -> str:
    found = _USER.sub(lambda match: match.group() if _is_container(url, match) else f"{MASK}@", url)
    found = _NO_PORT.sub(rf"\g<name>:{MASK}", found)
    found = _QUERY.sub(rf"\g<name>{MASK}", found)
    found = _BARE_QUERY.sub(lambda match: _redact_bare(url, match), found)
    return _FRAGMENT.sub(f"#{MASK}", found)


def _redact_bare(url: str, match: re.Match[str]) -> str:
    """Masks a query without names; in the path of an object store `?` stands for any one sign."""
    scheme = url.partition("://")[0].rpartition("::")[2]
    if scheme in _OBJECT_STORES and (set("./*?[") & set(match["value"])):
        return match.group()
    return match["mark"] + MASK


def _is_container(url: str, match: re.Match[str]) -> bool:
    """Return whether what stands before the `@` is an Azure container."""
    scheme = url[: match.start()].removesuffix("://").rpartition("::")[2]
    return scheme in _CONTAINER_SCHEMES and ":" not in match.group()
