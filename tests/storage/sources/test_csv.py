"""What a recipe may say of CSV files: how they are packed, and how they write numbers."""

import bz2
import gzip
import lzma

import numpy as np
import pyarrow as pa
import pytest

from deployments.targets.run.forms.records import split_csv
from storage.base.errors import SourceError
from storage.base.marks import Marks
from storage.base.text_style import TextStyle, is_units_row
from storage.forms.table import TableSpec
from storage.sources.csv import CsvSource

SPEC = TableSpec(numbers=("a",), label="y", labels=("no", "yes"))
PACKINGS = {
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zst": lambda data: pa.compress(data, "zstd", asbytes=True),
}


def read_rows(path, spec=SPEC, **options):
    source = CsvSource(url=str(path), **options)
    parts = [source.decode(part, spec).rows for part in source.parts(1 << 12, spec)]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


@pytest.mark.parametrize("ending", PACKINGS)
def test_a_packed_file_is_read_as_the_plain_one(tmp_path, ending):
    text = "a,y\n" + "".join(f"{n / 7},{('no', 'yes')[n % 2]}\n" for n in range(2000))
    (tmp_path / "plain").mkdir()
    (tmp_path / "plain" / "rows.csv").write_text(text)
    packed = tmp_path / f"rows.csv.{ending}"
    packed.write_bytes(PACKINGS[ending](text.encode()))
    plain, unpacked = read_rows(tmp_path / "plain"), read_rows(packed)
    for name, values in plain.items():
        np.testing.assert_array_equal(values, unpacked[name])
    packed.write_bytes(packed.read_bytes()[:-9])
    with pytest.raises(SourceError, match=r"rows\.csv.*cut off or damaged"):
        read_rows(packed)


LOGGER = (
    'Station;Tempelhof\r\nexported "by hand;\r\n\r\nZeit;Temp [°C];Druck [hPa];y\r\n;°C;hPa;\r\n'
)
MEASURED = TableSpec(
    numbers=("Temp [°C]",), target="Druck [hPa]", texts=("y",), missing=("", "-999,0")
)


@pytest.mark.parametrize("target_bytes", [1 << 20, 200])
@pytest.mark.parametrize("thousands", [".", None])
def test_the_file_of_a_logger_is_read_by_its_style(tmp_path, target_bytes, thousands):
    numbers = np.arange(300) / 8
    shown = [f"{1000 + 2 * n:_.2f}".replace("_", thousands or "") for n in numbers]
    lines = [
        f"{n};{'-999,00' if n % 50 == 7 else f'{value:.3f}'.replace('.', ',')};"
        f"{text[:-3]},{text[-2:]};a"
        for n, (value, text) in enumerate(zip(numbers, shown, strict=True))
    ]
    path = tmp_path / "log.csv"
    path.write_bytes((LOGGER + "\r\n".join(lines)).encode("cp1252"))
    source = CsvSource(
        url=str(path),
        delimiter=";",
        encoding="cp1252",
        decimal=",",
        thousands=thousands,
        skip_rows=2,
        units_row=True,
    )
    decoded = [source.decode(part, MEASURED) for part in source.parts(target_bytes, MEASURED)]
    assert not any(part.faults or part.unreadable for part in decoded)
    read = np.concatenate([part.rows["numbers"][:, 0] for part in decoded])
    gone = np.arange(300) % 50 == 7
    np.testing.assert_array_equal(read, np.where(gone, np.nan, numbers))
    target = np.concatenate([part.rows["target"] for part in decoded])
    np.testing.assert_array_equal(target, 1000 + 2 * numbers)


def test_a_number_by_another_mark_is_told_with_its_line(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("one\ntwo\na;y\n1,5;no\n1.5;yes\n")
    source = CsvSource(url=str(path), delimiter=";", decimal=",", skip_rows=2)
    (part,) = source.parts(1 << 20, SPEC)
    odd = source.decode(part, SPEC).unreadable["a"]
    assert (odd.count, odd.places) == (1, ("rows.csv line 5",))
    assert odd.values == ("1.5 [decimal mark: ,]",)


def test_blank_lines_before_the_row_of_units_do_not_count(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("\na,y\n\n;,\n\n1,no\n")
    assert read_rows(path, units_row=True)["numbers"][:, 0].tolist() == [1.0]
    path.write_text("a,y\n\n1,no\n")
    assert read_rows(path, units_row=True)["numbers"][:, 0].tolist() == [1.0]


def test_a_row_of_values_is_no_row_of_units(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("a;y\n1,5;no\n2;yes\n")
    rows = read_rows(path, delimiter=";", decimal=",", units_row=True)
    assert rows["numbers"][:, 0].tolist() == [1.5, 2.0]


@pytest.mark.parametrize(
    "first", ["NA;n/a;no", "null;;no", "2024-05-01 13:00;;no", "1.5.2024;NaN;no", "13:00;;no"]
)
def test_a_row_whose_numbers_are_missing_is_no_row_of_units(tmp_path, first):
    path = tmp_path / "rows.csv"
    path.write_text(f"a;b;y\n{first}\n2;1;yes\n")
    style = TextStyle(delimiter=";", decimal=",", units_row=True)
    asked = split_csv(path.read_bytes(), "rows.csv", style=style)
    assert [row[2] for row in asked.rows] == ["no", "yes"]
    rows = read_rows(path, delimiter=";", decimal=",", units_row=True)
    assert rows["label"].tolist() == [0, 1]


@pytest.mark.parametrize("first", ["mm;[-];", "1/s;m3;degC", "-;%;10^3/uL", "UTC;;°C", "3h;km/h;a"])
def test_a_row_of_units_is_told(first):
    assert is_units_row(first.split(";"), Marks(",", None))


def test_more_lines_to_skip_than_there_are_is_told(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("a,y\n1,no\n")
    with pytest.raises(SourceError, match=r"rows\.csv.*source\.skip_rows.*got 2 lines"):
        read_rows(path, skip_rows=9)


def test_one_mark_for_decimals_and_thousands_is_refused():
    with pytest.raises(ValueError, match=r"decimal \(,\) must be another mark than thousands"):
        CsvSource(url="x", decimal=",", thousands=",")
