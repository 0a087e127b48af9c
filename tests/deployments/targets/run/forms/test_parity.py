"""One reader: what is learned from a file, and what a model is asked with it, are the same values.

Tables are generated: column types, time formats, missing texts, encodings, line ends, quoting and
what goes wrong in real files. Each record is learned from and asked alone and among the others, so
that a value that depends on its neighbours is found as well.
"""

from itertools import pairwise
from pathlib import Path
from random import Random

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from deployments.targets.errors import BadInput
from deployments.targets.run.inputs import read_samples, read_values
from deployments.targets.trust.card import InputSpec
from deployments.targets.trust.card_columns import ColumnSpec
from storage.base.errors import SourceError
from storage.base.records import LONGEST_RECORD_BYTES
from storage.base.text_style import TextStyle
from storage.forms.table import TableSpec
from storage.shards.row_ids import Rows
from storage.sources.base import Decoded, Part, identify_rows
from storage.sources.csv import CsvSource
from storage.sources.parquet import ParquetSource
from tests.deployments.targets.run.forms.test_rows import make_card

NUMBERS = [
    *["1", "-2.5", "1e5", "+3", ".5", "7.", "1E-3", "-0", "0", "1e-400", "nan", "NaN", "-nan"],
    *["1,5", "1,234.5", "1.5%", "$7", "ERR", "1_000", "0x1p3", "12345678901234567890", "inf"],
    *["-Infinity", "1e999", "3\xa0", "NA", "null", "-999", "-999.0", "-9.99e2", "1d5", "nan(1)"],
    *["", " 4 ", "\t5", " NA", "N A", "1 000", "1.234,5", "1.234", "-999,0", "1 234,5", "2,5e3"],
]
TEXTS = ["a", "b c", "é", " a", "a ", "NA", " NA ", "", '5" pipe', 'say "hi"', "x,y", "p;q", "1.0"]
TEXTS += [
    "two\nlines",
    "two\r\nlines",
    "-999",
    "-999.0",
    "null",
    "城市",
    '"',
    '""',
    "a\rb",
    "'",
    "t|u",
]
STYLES = {
    None: ["2021-03-01", "2021-03-01T10:00:00+01:00", "20210301", "2021-W09-1", "9999-12-31", "x"],
    "%F %T": ["2021-03-01 10:00:00", "2021-02-30 10:00:00", "2021-3-1 1:2:3", "2021-03-01"],
    "%D": ["03/01/21", "02/29/21", "3/1/70"],
    "%s": ["1600000000", "-5", "99999999999", "1e9"],
    "%e/%m/%Y": ["1/02/2021", " 1/2/2021", "30/02/2021", "31/04/2021"],
    "%m/%d/%Y %I:%M %p": ["03/01/2021 1:05PM", "03/01/2021 12:00 am", "03/01/2021 13:05 PM"],
    "%d %b %Y %H:%M:%S.%f": [
        "1 Mar 2021 10:00:00.25",
        "01 march 2021 10:00:00.1234567",
        "1 Mai 2021",
    ],
}
ENDS, ENCODINGS, DELIMITERS = (
    ["\n", "\r\n", "\r"],
    ["utf-8", "utf-8-sig", "utf-16", "latin-1", "cp1252", "utf-16-be", "gb18030", "cp037"],
    [",", ";", "\t", "|", "~"],
)
MARKED = ("utf-8-sig", "utf-16")
"""Encodings of files that say by a mark of theirs what they are."""
STATED = {"delimiter", "encoding", "decimal", "thousands", "skip_rows", "units_row"}
MARKS = [
    *[{}, {}, {"decimal": ","}, {"decimal": ",", "thousands": "."}, {"thousands": ","}],
    *[{"skip_rows": 2}, {"decimal": ",", "thousands": " ", "units_row": True}],
]
MISSING = [("", "NA", "null"), ("", "-999"), ("NA", "-9.99e2"), (), ("", " NA ", "nan", "a")]


class Case:
    """One generated table: a data section, a header, and records as they stand in a file."""

    def __init__(self, seed: int) -> None:
        random = self.random = Random(seed)
        self.delimiter = random.choice(DELIMITERS)
        self.style = random.choice([*STYLES])
        self.end, self.encoding = random.choice(ENDS), random.choice(ENCODINGS)
        stated = random.choice(ENCODINGS) if self.encoding in MARKED else self.encoding
        self.style_of_files = TextStyle(
            delimiter=self.delimiter, encoding=stated, **random.choice(MARKS)
        )
        names = ["x", "grade", "when", "side"]
        random.shuffle(names)
        self.names = names
        timed = random.random() < 0.5
        self.spec = TableSpec(
            numbers=("x",),
            texts=("grade",),
            time="when" if timed else None,
            time_format=self.style,
            missing=random.choice(MISSING),
        )
        self.header = self.delimiter.join(self._quote(name) for name in names)
        self.records = [self._make_record() for _ in range(random.randint(1, 5))]

    def _make_record(self) -> str:
        random = self.random
        pools = {"x": NUMBERS, "grade": TEXTS, "when": STYLES[self.style], "side": TEXTS}
        if random.random() < 0.6:  # most records are sound
            pools |= {"x": NUMBERS[:8], "side": ["u"], "when": STYLES[self.style][:1]}
        cells = [self._quote(random.choice(pools[name])) for name in self.names]
        odd = random.random()
        if odd < 0.05:
            cells.append("1")
        elif odd < 0.1:
            cells.pop()
        elif odd < 0.12:
            cells = [*self.names]
        elif odd < 0.14:
            return random.choice(["", "  ", '"'])
        return self.delimiter.join(cells)

    def _quote(self, text: str) -> str:
        """Write a value as a careful program does, or as a careless one."""
        special = any(mark in text for mark in (self.delimiter, '"', "\n", "\r"))
        if self.random.random() < (0.9 if special else 0.2):
            return '"' + text.replace('"', '""') + '"'
        return text

    def write(self, records: list[str]) -> bytes:
        style = self.style_of_files
        before = ['Logger "7', "at,once;\t|~"][: style.skip_rows]
        units = [self.delimiter.join(["mm"] * len(self.names))] if style.units_row else []
        lines = [*before, self.header, *units, *records]
        text = self.end.join(lines) + self.random.choice(["", self.end])
        return text.encode(self.encoding, errors="replace")


def learn(path: Path, data: bytes, case: Case, target_bytes: int = 1 << 20) -> list[Decoded]:
    path.write_bytes(data)
    source = CsvSource(url=str(path), **case.style_of_files.model_dump(include=STATED))
    items = [item for item in source.scan(case.spec, target_bytes) if isinstance(item, Part)]
    decoded = [source.decode(part, case.spec) for part in items]
    ids = [identify_rows(part, found)["row_id"] for part, found in zip(items, decoded, strict=True)]
    if ids:
        assert len(np.unique(np.concatenate(ids))) == len(np.concatenate(ids))
    for before, after in pairwise(items):
        assert before.stop <= after.start
    return decoded


def describe(rows: Rows, words: tuple[str, ...], timed: bool) -> np.ndarray:
    """Return the sample of each row, as the training process makes it of fields."""
    codes = [
        float(words.index(text)) if valid and text in words else np.nan
        for text, valid in zip(rows["grade"].tolist(), rows["grade__valid"], strict=True)
    ]
    columns = [np.where(rows["numbers__valid"][:, 0], rows["numbers"][:, 0], np.nan), codes]
    if timed:
        columns.append(rows["time"] / 1e9)
    return np.stack(columns, axis=1)


def is_refused(decoded: Decoded, timed: bool) -> bool:
    """Tell whether what was learned of one record is refused somewhere on the way to training."""
    rows = decoded.rows
    return bool(
        decoded.faults
        or decoded.unreadable
        or not len(rows["numbers"])
        or np.isinf(rows["numbers"]).any()
        or (timed and not rows["time__valid"].all())
    )


def make_spec(case: Case, words: tuple[str, ...]) -> InputSpec:
    columns = [ColumnSpec(name="x"), ColumnSpec(name="grade", vocabulary=words)]
    if case.spec.time is not None:
        columns.append(ColumnSpec(name="when", is_time=True, time_format=case.style))
    return InputSpec(
        form="table",
        name="row",
        dtype="float64",
        shape=(len(columns),),
        columns=tuple(columns),
        missing=case.spec.missing,
        file_style=case.style_of_files,
    )


def check_case(seed: int, path: Path) -> int:
    """Hold one table to the property; returns how many of its records were read."""
    case = Case(seed)
    timed = case.spec.time is not None
    whole = learn(path, case.write(case.records), case)
    words = sorted({text for part in whole for text in part.rows["grade"].tolist()} | {"b c"})
    spec = make_spec(case, tuple(word for word in words if word))
    card = make_card(spec)
    found: list[np.ndarray] = []
    sound = True
    for record in case.records:
        data = case.write([record])
        alone = learn(path, data, case)
        try:
            asked = read_samples(data, card, "rows.csv").raw
        except BadInput:
            asked = None
        if any(len(part.rows["grade"]) for part in alone):
            found.append(describe(alone[0].rows, spec.columns[1].vocabulary, timed))
        if not alone or is_refused(alone[0], timed):
            assert asked is None, (record, alone)
            sound = sound and not record.strip()
        else:
            np.testing.assert_array_equal(asked, found[-1], err_msg=repr(record))
    # A quote that never closes takes the next records with it, and blank ones are none.
    if all(record.count('"') % 2 == 0 for record in case.records) and found:
        together = [describe(part.rows, spec.columns[1].vocabulary, timed) for part in whole]
        np.testing.assert_array_equal(np.concatenate(together), np.concatenate(found))
        cut = learn(path, case.write(case.records), case, case.random.choice([1, 30, 100]))
        parts = [describe(part.rows, spec.columns[1].vocabulary, timed) for part in cut]
        np.testing.assert_array_equal(np.concatenate(parts), np.concatenate(found))
        if sound:
            data = case.write(case.records)
            asked = read_samples(data, card, "rows.csv").raw
            np.testing.assert_array_equal(asked, np.concatenate(found))
    return len(found)


def test_what_is_learned_from_csv_is_asked_alike(tmp_path: Path) -> None:
    assert sum(check_case(seed, tmp_path / "rows.csv") for seed in range(60)) > 90


@pytest.mark.slow
def test_what_is_learned_from_ten_thousand_tables_is_asked_alike(tmp_path: Path) -> None:
    assert sum(check_case(seed, tmp_path / "rows.csv") for seed in range(60, 10_100)) > 15_000


STYLES_OF_FILES = [
    {"delimiter": ";", "encoding": "latin-1"},
    {"delimiter": "~", "header": ("x", "grade")},
    {"encoding": "utf-16-le", "header": ("grade", "x")},
    {"delimiter": " ", "encoding": "cp037"},
    {},
]


@pytest.mark.parametrize("style", STYLES_OF_FILES, ids=str)
def test_a_model_is_asked_with_the_file_that_it_learned_from(tmp_path: Path, style: dict) -> None:
    names = style.get("header", ("x", "grade"))
    rows = [{"x": "1.5", "grade": "Größe"}, {"x": "-2", "grade": "é"}]
    lines = [[row[name] for name in names] for row in rows]
    lines = lines if "header" in style else [list(names), *lines]
    text = "".join(style.get("delimiter", ",").join(line) + "\n" for line in lines)
    path = tmp_path / "rows.csv"
    path.write_bytes(text.encode(style.get("encoding", "utf-8")))
    source = CsvSource(url=str(path), **style)
    spec = TableSpec(numbers=("x",), texts=("grade",))
    (part,) = source.parts(1 << 20, spec)
    words = ("Größe", "é")
    learned = describe(source.decode(part, spec).rows, words, timed=False)
    columns = (ColumnSpec(name="x"), ColumnSpec(name="grade", vocabulary=words))
    taken = InputSpec(
        form="table",
        name="row",
        dtype="float64",
        shape=(2,),
        columns=columns,
        file_style=source.file_style,
    )
    asked = read_samples(path.read_bytes(), make_card(taken), "rows.csv")
    np.testing.assert_array_equal(asked.raw, learned)
    assert not asked.notes
    np.testing.assert_array_equal(learned, [[1.5, 0], [-2, 1]])


def test_rows_without_the_lines_before_them_are_asked_alike() -> None:
    style = TextStyle(delimiter=";", decimal=",", skip_rows=3, units_row=True)
    columns = (ColumnSpec(name="x [°C]"),)
    card = make_card(
        InputSpec(
            form="table",
            name="row",
            dtype="float64",
            shape=(1,),
            columns=columns,
            file_style=style,
        )
    )
    table = "x [°C];side\n°C;-\n1,5;a\n-2;b\n"
    for text in (table, f"made by;7\n\nlast\n{table}"):
        asked = read_samples(text.encode(), card, "rows.csv").raw
        np.testing.assert_array_equal(asked, [[1.5], [-2.0]])
    np.testing.assert_array_equal(read_values([{"x [°C]": 1.5}], card, "request").raw, [[1.5]])
    with pytest.raises(BadInput, match=r"row 0.*finite number in x.*'1,5'"):
        read_values([{"x [°C]": "1,5"}], card, "request")
    with pytest.raises(BadInput, match=r"line 7.*finite number in x.*decimal mark: ,"):
        read_samples(f"a\nb\nc\n{table}".replace("-2", "2.5").encode(), card, "rows.csv")


def test_another_encoding_is_refused_with_the_remedy() -> None:
    case = Case(0)
    card = make_card(make_spec(case, ("é",)).model_copy(update={"file_style": None}))
    with pytest.raises(BadInput, match=r"in UTF-8, unless .* save it in UTF-8"):
        read_samples("x,grade\n1,é\n".encode("latin-1"), card, "rows.csv")


@pytest.mark.parametrize(
    ("letter", "end", "target_bytes"),
    [("a", "\n", 1 << 20), ("é", "\r\n", 8 << 20), ("a", "\r", 32 << 20), ("é", "", 1 << 20)],
)
def test_a_record_is_as_long_where_one_learns_as_where_one_asks(
    tmp_path: Path, letter: str, end: str, target_bytes: int
) -> None:
    spec = TableSpec(numbers=("x",), texts=("grade",))
    card = make_card(
        InputSpec(
            form="table",
            name="row",
            dtype="float64",
            shape=(1,),
            columns=(ColumnSpec(name="x"),),
        )
    )
    longest = letter * ((LONGEST_RECORD_BYTES - 2) // len(letter.encode()))
    for text, is_read in ((longest, True), (longest + letter, False)):
        path = tmp_path / "rows.csv"
        path.write_bytes(f"x,grade{end or chr(10)}1,{text}{end}".encode())
        source = CsvSource(url=str(path))
        if is_read:
            assert [part.stop for part in source.parts(target_bytes, spec)] == [1]
            assert read_samples(path.read_bytes(), card, "rows.csv").raw.tolist() == [[1]]
            continue
        with pytest.raises(SourceError, match=r"rows\.csv.*from line 2 on"):
            source.parts(target_bytes, spec)
        with pytest.raises(BadInput, match=r"rows\.csv, line 2.*more than \d+ bytes"):
            read_samples(path.read_bytes(), card, "rows.csv")


VALUES = {
    "number": [1.5, None, -999.0, 1, 1e300, True],
    "text": ["r", " NA", None, "", '5" pipe', "1.0"],
    "whole": [1, None, 2, -999],
    "real": [1.0, None, 2.5, 1e10, 1e-7],
    "truth": [True, None, False],
}


@pytest.mark.parametrize("seed", range(10))
def test_what_is_learned_from_parquet_is_asked_alike_as_json(tmp_path: Path, seed: int) -> None:
    random = Random(seed)
    names = [name for name in VALUES if name != "number"]
    columns = {name: [random.choice(values) for _ in range(8)] for name, values in VALUES.items()}
    columns["number"] = [None if value is None else float(value) for value in columns["number"]]
    spec = TableSpec(numbers=("number",), texts=tuple(names), missing=("", "NA", "-999"))
    pq.write_table(pa.table(columns), tmp_path / "rows.parquet")
    source = ParquetSource(url=str(tmp_path / "rows.parquet"))
    (part,) = [item for item in source.scan(spec, 1 << 20) if isinstance(item, Part)]
    rows = source.decode(part, spec).rows
    words = {name: tuple(sorted({*rows[name].tolist()} - {""})) or ("x",) for name in names}
    card = make_card(
        InputSpec(
            form="table",
            name="row",
            dtype="float64",
            shape=(1 + len(names),),
            columns=(
                ColumnSpec(name="number"),
                *(ColumnSpec(name=name, vocabulary=words[name]) for name in names),
            ),
            missing=spec.missing,
        )
    )
    objects = [
        dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)
    ]
    asked = read_values(objects, card, "request")
    assert asked.notes == ()
    wanted = np.stack(
        [
            np.where(rows["numbers__valid"][:, 0], rows["numbers"][:, 0], np.nan),
            *(
                [
                    float(words[name].index(text)) if valid else np.nan
                    for text, valid in zip(rows[name].tolist(), rows[name + "__valid"], strict=True)
                ]
                for name in names
            ),
        ],
        axis=1,
    )
    np.testing.assert_array_equal(asked.raw, wanted)
