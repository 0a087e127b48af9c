"""Reads YAML as plain data, within bounds, and keeps the line of every key.

A key that stands twice is refused: of two sections of one name YAML's usual readers drop the first
without a word, and its limits with it. What a few bytes could blow up (aliases of aliases, depth,
numbers without end) is counted while it is read, before anything is made of it. Dates stay text, as
a recipe wants them.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NoReturn

import yaml

from flows.errors import RecipeFault

MOST_CHARACTERS = 1 << 20
MOST_VALUES = 30_000
MOST_DEPTH = 50
MOST_DIGITS = 40
# libyaml is an order of magnitude faster; a build without it reads the same.
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_TAG = "tag:yaml.org,2002:"
_PLAIN_TAGS = frozenset({"str", "int", "float", "bool", "null", "seq", "map"})
_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_BOOL = re.compile(r"yes|Yes|YES|true|True|TRUE|on|On|ON|no|No|NO|false|False|FALSE|off|Off|OFF")
_TRUE = frozenset({"yes", "true", "on"})
_INT = re.compile(r"[-+]?(0b[01_]+|0x[0-9a-fA-F_]+|0[0-7_]*|[1-9][0-9_]*)")
_FLOAT = re.compile(
    r"[-+]?([0-9][0-9_]*\.[0-9_]*|\.[0-9][0-9_]*)([eE][-+][0-9]+)?|[-+]?\.(inf|Inf|INF)|"
    r"\.(nan|NaN|NAN)"
)
_QUOTED = re.compile(r"'[\w!][^'\s]+'|\"[\w!][^\"\s]+\"")
_MOST_TOLD = 20
_MERGE = "<<"


class DocumentError(Exception):
    """A text is no YAML that a recipe can be; carries every fault that was found."""

    def __init__(self, *faults: RecipeFault) -> None:
        self.faults = faults
        super().__init__("; ".join(map(str, faults)))


@dataclass(frozen=True)
class Document:
    """What a text holds: plain data, and the line of each key and item by its dotted path."""

    value: Any
    lines: dict[str, int]


@dataclass
class _Node:
    """A value, and what is inside with the line of each; `size` counts it and all inside it."""

    value: Any
    size: int = 1
    inner: list[tuple[str, int, "_Node"]] = field(default_factory=list)

    def list_lines(self, path: str = "") -> Iterator[tuple[str, int]]:
        """Yield the path and line of everything inside."""
        for name, line, node in self.inner:
            where = _join(path, name)
            yield where, line
            yield from node.list_lines(where)


def read_document(text: str) -> Document:
    """Reads one YAML document.

    Args:
        text: All of it.

    Raises:
        DocumentError: It is no YAML, a key stands twice, or it goes beyond what a recipe can be:
            1 Mi characters, 30,000 values with aliases written out, 50 levels, 64 bits a number.
    """
    if len(text) > MOST_CHARACTERS:
        raise DocumentError(
            RecipeFault(
                "(file)",
                f"{len(text)} characters",
                f"be at most {MOST_CHARACTERS} characters long",
                "keep data in files of their own, which the recipe names",
            )
        )
    try:
        node = _Reader(text).read()
    except UnicodeEncodeError:
        fault = RecipeFault("(file)", "half of a character", "be valid text", "save it as UTF-8")
        raise DocumentError(fault) from None
    except yaml.YAMLError as error:
        # Not chained: its text quotes the line, which can hold a secret.
        raise DocumentError(_describe_yaml_error(error)) from None
    return Document(node.value, dict(node.list_lines()))


def _describe_yaml_error(error: yaml.YAMLError) -> RecipeFault:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    said = str(getattr(error, "problem", None) or getattr(error, "reason", None) or "unreadable")
    # The name of an alias or a tag is what a password with such a sign in front is taken for.
    problem = _QUOTED.sub("'***'", said)
    line = mark.line + 1 if mark else None
    return RecipeFault("(file)", problem, "be valid YAML", "mend the syntax there", line)


class _Reader:
    """Makes plain data of YAML's events, one after the other."""

    def __init__(self, text: str) -> None:
        self._events: Iterator[Any] = yaml.parse(text, Loader=_LOADER)
        self._anchors: dict[str, _Node | None] = {}
        self._values = 0
        self._twice: list[RecipeFault] = []

    def read(self) -> _Node:
        """Reads the one document of the text."""
        next(self._events)
        if isinstance(event := next(self._events), yaml.StreamEndEvent):
            return _Node(None)
        node = self._read_node(next(self._events), "", 0)
        next(self._events)
        if not isinstance(event := next(self._events), yaml.StreamEndEvent):
            _refuse(event, "(file)", "a second document", "be one document", "remove the `---`")
        if self._twice:
            raise DocumentError(*self._twice[:_MOST_TOLD])
        return node

    def _read_node(self, event: Any, path: str, depth: int) -> _Node:
        if isinstance(event, yaml.AliasEvent):
            return self._recall(event, path)
        self._count(event, 1, path)
        if depth > MOST_DEPTH:
            rule = f"be nested at most {MOST_DEPTH} deep"
            _refuse(event, path, f"{depth} levels", rule, "flatten it")
        tag = _name_tag(event, path)
        if event.anchor is not None:
            # Known, but not there yet: an alias inside would never come to an end.
            self._anchors[event.anchor] = None
        node = _Node(None)
        if isinstance(event, yaml.MappingStartEvent):
            node.value = self._read_mapping(node, path, depth)
        elif isinstance(event, yaml.SequenceStartEvent):
            node.value = self._read_list(node, path, depth)
        else:
            node.value = _read_scalar(event, tag, path)
        node.size += sum(inner.size for _, _, inner in node.inner)
        if event.anchor is not None:
            self._anchors[event.anchor] = node
        return node

    def _recall(self, event: Any, path: str) -> _Node:
        if event.anchor not in self._anchors:
            _refuse(event, path, "an alias", "be an alias of an anchor before it", "quote a text")
        node = self._anchors[event.anchor]
        if node is None:
            rule = "hold no alias of itself"
            _refuse(event, path, "an alias of what it stands in", rule, "write it out")
        self._count(event, node.size, path)
        return node

    def _count(self, event: Any, values: int, path: str) -> None:
        self._values += values
        if self._values > MOST_VALUES:
            rule = f"hold at most {MOST_VALUES} values, aliases written out"
            remedy = "keep data in files of their own, which the recipe names"
            _refuse(event, path, f"more than {MOST_VALUES} values", rule, remedy)

    def _read_list(self, node: _Node, path: str, depth: int) -> list[Any]:
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            name = str(len(node.inner))
            inner = self._read_node(event, _join(path, name), depth + 1)
            node.inner.append((name, event.start_mark.line + 1, inner))
        return [inner.value for _, _, inner in node.inner]

    def _read_mapping(self, node: _Node, path: str, depth: int) -> dict[str, Any]:
        found: dict[str, tuple[int, _Node]] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            name, line = self._read_key(event, path), event.start_mark.line + 1
            where = _join(path, name)
            inner = self._read_node(next(self._events), where, depth + 1)
            if name in found:
                got = f"lines {found[name][0]} and {line}"
                remedy = "put both into one: the first would be lost"
                self._twice.append(RecipeFault(where, got, "be written once", remedy, line))
            found[name] = line, inner
        merged = self._merge(*found.pop(_MERGE), path) if _MERGE in found else {}
        node.inner += [(name, line, inner) for name, (line, inner) in (merged | found).items()]
        return {name: inner.value for name, _, inner in node.inner}

    def _read_key(self, event: Any, path: str) -> str:
        if not isinstance(event, yaml.ScalarEvent):
            _refuse(event, path, "a key of several values", "have texts as keys", "write one text")
        self._count(event, 1, path)
        value = _read_scalar(event, _name_tag(event, path), path)
        if not isinstance(value, str):
            _refuse(event, path, "a key that is no text", "have texts as keys", "put it in quotes")
        return value

    def _merge(self, line: int, node: _Node, path: str) -> dict[str, tuple[int, _Node]]:
        """Return the keys of the mappings behind `<<`, of which the first to name one wins."""
        nodes = [inner for _, _, inner in node.inner] if isinstance(node.value, list) else [node]
        if not all(isinstance(each.value, dict) for each in nodes):
            raise DocumentError(
                RecipeFault(
                    _join(path, _MERGE), "no section", "be sections", "name sections there", line
                )
            )
        return {name: (at, of) for each in reversed(nodes) for name, at, of in each.inner}


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _refuse(event: Any, path: str, got: str, rule: str, remedy: str) -> NoReturn:
    line = event.start_mark.line + 1 if event.start_mark else None
    raise DocumentError(RecipeFault(path[:80] or "(file)", got, rule, remedy, line))


def _name_tag(event: Any, path: str) -> str | None:
    """Return the short name of an explicit tag; None where the value itself tells its type."""
    if event.tag is None or (isinstance(event, yaml.ScalarEvent) and event.implicit[0]):
        return None
    name = "str" if event.tag == "!" else str(event.tag).removeprefix(_TAG)
    if name not in _PLAIN_TAGS:
        _refuse(event, path, "a tag", "be a value without a tag", "remove the word after the `!`")
    return name


def _read_scalar(event: Any, tag: str | None, path: str) -> Any:
    text = event.value
    if tag == "str" or (tag is None and not event.implicit[0]):
        return text
    value = _parse_plain(text)
    if isinstance(value, int) and not -(2**63) <= value < 2**64:
        _refuse(event, path, "a number without end", "fit into 64 bits", "write a smaller one")
    kind = "null" if value is None else type(value).__name__
    if tag is not None and tag != kind:
        _refuse(
            event, path, f"a value that is no {tag}", f"be what its tag {tag} says", "remove it"
        )
    return value


def _parse_plain(text: str) -> Any:
    """Return what a plain text means: nothing, a truth value, a number, or itself."""
    if text in _NULL:
        return None
    if _BOOL.fullmatch(text):
        return text.lower() in _TRUE
    if _INT.fullmatch(text):
        return _parse_int(text.replace("_", "")) if len(text) <= MOST_DIGITS else 1 << 64
    if _FLOAT.fullmatch(text):
        return float(re.sub(r"\.(?=inf|nan)", "", text.replace("_", "").lower()))
    return text


def _parse_int(text: str) -> int:
    sign, digits = (-1 if text.startswith("-") else 1), text.lstrip("+-")
    bases = {"0b": 2, "0x": 16}
    base = bases.get(digits[:2], 8 if digits[:1] == "0" else 10)
    # Underscores alone behind the prefix are nothing to count.
    return sign * int(digits.removeprefix("0b").removeprefix("0x") or "0", base)
