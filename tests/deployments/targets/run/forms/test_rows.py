"""Rows of tables and series on the device: what a CSV or .npy file must hold, and what is answered
to it.
"""

import io
from pathlib import Path

import numpy as np
import pytest

from deployments.targets.errors import BadInput
from deployments.targets.run.inputs import load_samples, read_samples, read_values
from deployments.targets.trust.card import Card, InputSpec, OutputSpec
from deployments.targets.trust.card_columns import ColumnSpec
from tests.deployments.targets.material import make_golden

TABLE = InputSpec(
    form="table",
    name="row",
    dtype="float64",
    shape=(3,),
    columns=(
        ColumnSpec(name="speed"),
        ColumnSpec(name="wear"),
        ColumnSpec(name="grade", vocabulary=("H", "L")),
    ),
    missing=("", "NA"),
)
SERIES = InputSpec(
    form="series",
    name="window",
    dtype="float64",
    shape=(2, 2),
    columns=(
        ColumnSpec(name="flow"),
        ColumnSpec(name="when", is_time=True, time_format="%d/%m/%Y %H:%M"),
    ),
)


def make_card(spec: InputSpec) -> Card:
    outputs = (OutputSpec(name="values", meaning="values"),)
    return Card.model_validate(
        {
            "model_id": "a" * 64,
            "name": "x",
            "kind": "tabular-regression",
            "input": spec,
            "objective": "values",
            "outputs": outputs,
            "golden": make_golden(b"", spec, outputs),
            "artifact": {"name": "fp32", "file": "fp32.onnx", "sha256": "b" * 64},
            "receipt": "c" * 64,
        }
    )


def read(tmp_path: Path, content: str | bytes, spec: InputSpec) -> np.ndarray:
    path = tmp_path / "rows.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return load_samples(str(path), make_card(spec)).raw


def test_rows_of_a_table_are_read_by_the_names_of_their_columns(tmp_path: Path) -> None:
    text = "\ufeffgrade,extra,wear,speed\r\nL,9,2.5,1\r\nX,9,NA,-3e2\r\n,9,0,4\r\n\r\n"
    found = read(tmp_path, text, TABLE)
    nan = np.nan
    np.testing.assert_array_equal(found, [[1, 2.5, 1], [-300, nan, nan], [4, 0, nan]])


def test_of_a_series_the_last_rows_are_the_window(tmp_path: Path) -> None:
    text = "when,flow\n" + "".join(f"04/03/2016 0:{5 * step:02},{step}\n" for step in range(4))
    found = read(tmp_path, text, SERIES)
    start = 1_457_049_600.0  # 4 March 2016, UTC
    np.testing.assert_array_equal(found, [[[2, start + 600], [3, start + 900]]])


PARTED = SERIES.model_copy(
    update={"entity": "site", "time": SERIES.columns[1], "max_gap_steps": 1.5}
)


def write_rows(steps: list[tuple[str, int]]) -> str:
    """Rows of a site, five minutes a step."""
    lines = [f"{site},04/03/2016 {step // 12}:{step % 12 * 5:02},{step}\n" for site, step in steps]
    return "site,when,flow\n" + "".join(lines)


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        (
            [("Nord", 0), ("Nord", 1), ("Nord", 2), ("Süd", 3)],
            "must end with 2 rows of one site; got Nord, Süd",
        ),
        ([("Nord", 0), ("Nord", 1), ("Nord", 2), ("Nord", 1)], "in the order of when"),
        ([("Nord", 0), ("Nord", 1), ("Nord", 2), ("Nord", 2)], "in the order of when"),
        (
            [("Nord", 0), ("Nord", 1), ("Nord", 2), ("Nord", 4)],
            "got 600 s between two of them, where 300 s are usual",
        ),
    ],
    ids=["two sites", "backwards", "twice", "gap"],
)
def test_window_that_nothing_was_learned_from_is_refused(
    tmp_path: Path, steps: list[tuple[str, int]], message: str
) -> None:
    with pytest.raises(BadInput, match=message):
        read(tmp_path, write_rows(steps), PARTED)
    # Before the window all of that may be.
    after = [("Nord", 20), ("Nord", 21), ("Nord", 22)]
    assert read(tmp_path, write_rows([*steps, *after]), PARTED)[0, :, 0].tolist() == [21, 22]
    assert read(
        tmp_path, write_rows(steps).replace("site", "other").replace("Süd", "Nord"), SERIES
    ).shape == (1, 2, 2)


def test_window_of_a_file_that_says_neither_whose_nor_when_is_taken(tmp_path: Path) -> None:
    spec = PARTED.model_copy(update={"columns": (ColumnSpec(name="flow"),), "shape": (2, 1)})
    assert read(tmp_path, "flow\n1\n2\n3\n", spec).tolist() == [[[2], [3]]]


@pytest.mark.parametrize(
    ("shape", "spec", "wanted"),
    [
        ((3,), TABLE, (1, 3)),
        ((5, 3), TABLE, (5, 3)),
        ((7, 2), SERIES, (1, 2, 2)),
        ((4, 2, 2), SERIES, (4, 2, 2)),
    ],
)
def test_arrays_are_one_sample_or_many(
    tmp_path: Path, shape: tuple[int, ...], spec: InputSpec, wanted: tuple
) -> None:
    target = io.BytesIO()
    values = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    np.save(target, values)
    found = read(tmp_path, target.getvalue(), spec)
    assert (found.shape, found.dtype) == (wanted, np.float64)
    assert found[-1].ravel()[-1] == values.ravel()[-1]


@pytest.mark.parametrize(
    ("content", "spec", "message"),
    [
        ("speed^wear^grade\n1^2^L\n", TABLE, "got no speed, wear, grade"),
        ("speed;wear;grade\n1;2,5;L\n", TABLE, "wear; got '2,5'; a decimal comma"),
        ("speed,wear,grade,speed\n1,2,L,9\n", TABLE, "each column once; got speed twice"),
        ("speed,wear,grade\n1,500,70,L\n", TABLE, r"line 2\) must be a record of 3 columns; got"),
        ("speed,wear,grade\n\n1,2,L\n3,22.946,46,L\n", TABLE, r"line 4.*has 4 values, not 3"),
        ("speed,wear,grade\n1,2,L\nspeed,wear,grade\n", TABLE, r"line 3.*repeats the header"),
        ("speed,wear\n1,2\n", TABLE, "must have the columns speed, wear, grade; got no grade"),
        (
            "speed,wear,grade\n1,fast,L\n",
            TABLE,
            r"line 2\) must hold a finite number in wear; got 'fast'",
        ),
        ("speed,wear,grade\n1,inf,L\n", TABLE, "finite number in wear"),
        ("speed,wear,grade\n1,2\n", TABLE, "got one that has 2 values, not 3"),
        ("speed,wear,grade\n", TABLE, "must hold at least one row of 3 columns"),
        ("", TABLE, "got no speed, wear, grade"),
        ("when,flow\n04/03/2016 0:00,1\n", SERIES, "must hold at least 2 rows of 2 columns"),
        (
            "when,flow\n04/03/2016 0:00,1\n2016-03-04,2\n",
            SERIES,
            "must hold a time as %d/%m/%Y %H:%M in when",
        ),
        (b"speed,wear,grade\n\xff\xfe,2,L\n", TABLE, "must be a CSV file in UTF-8"),
        ('speed,wear,grade\n"1,2,L\n', TABLE, "has a quote that is never closed"),
        ('speed,wear,grade\n"1"0,2,L\n', TABLE, "has text behind a closing quote"),
    ],
)
def test_what_the_model_cannot_take_is_named(
    tmp_path: Path, content: str | bytes, spec: InputSpec, message: str
) -> None:
    with pytest.raises(BadInput, match=message):
        read(tmp_path, content, spec)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"value_range": (0, 1)}, "value_range or columns; got both"),
        ({"shape": (4,)}, "columns must be as many as the shape says"),
    ],
)
def test_a_card_says_what_it_takes(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        InputSpec.model_validate(TABLE.model_dump() | change)


@pytest.mark.parametrize("mark", [";", "\t", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_rows_are_read_whatever_a_program_writes_between_them(
    tmp_path: Path, mark: str, end: str, encoding: str
) -> None:
    text = end.join(["grade,speed,wear", 'L,1,"2"', "H,-3e2,NA", ""]).replace(",", mark)
    found = read(tmp_path, text.encode(encoding), TABLE)
    np.testing.assert_array_equal(found, [[1, 2, 1], [-300, np.nan, 0]])


def test_missing_codes_are_missing_however_they_are_written(tmp_path: Path) -> None:
    spec = TABLE.model_copy(update={"missing": ("-999", "NA")})
    found = read(tmp_path, "speed,wear,grade\n-999.0, -999 ,NA \n -9.99e2,,H\n", spec)
    assert np.isnan(found[0]).all()
    assert np.isnan(found[1]).tolist() == [True, True, False]
    target = io.BytesIO()
    np.save(target, np.array([[-999.0, 1.0, 0.0]]))
    assert np.isnan(read(tmp_path, target.getvalue(), spec)).tolist() == [[True, False, False]]


def test_an_array_s_code_of_a_category_is_no_missing_number(tmp_path: Path) -> None:
    target = io.BytesIO()
    np.save(target, np.array([[1.0, 2.0, 1.0]]))
    found = read(tmp_path, target.getvalue(), TABLE.model_copy(update={"missing": ("1",)}))
    np.testing.assert_array_equal(found, [[np.nan, 2, 1]])


def test_a_category_that_was_not_learned_is_noted(tmp_path: Path) -> None:
    card = make_card(TABLE)
    samples = read_samples(b"speed,wear,grade\n1,2,L\n1,2,X\n1,2,\n", card, "rows.csv")
    assert samples.notes == (
        (1, "grade: 'X' is a category that was not learned from, and counts as missing"),
    )
    same = read_values([{"speed": 1, "wear": 2, "grade": "X"}], card, "request")
    assert [row for row, _ in same.notes] == [0]


def test_a_number_of_json_is_the_category_that_was_learned() -> None:
    spec = TABLE.model_copy(
        update={
            "columns": (
                ColumnSpec(name="a", vocabulary=("1", "2.5")),
                ColumnSpec(name="b", vocabulary=("1.0", "2.0")),
            )
        }
        | {"shape": (2,)}
    )
    rows = [{"a": 1.0, "b": 1}, {"a": 2.5, "b": 2.0}]
    samples = read_values(rows, make_card(spec), "request")
    assert samples.raw.tolist() == [[0, 0], [1, 1]]
    assert samples.notes == ()


@pytest.mark.parametrize("shape", [(6, 4), (6, 4, 1), (4,), (4, 1)])
def test_windows_of_one_column_may_lack_its_axis(tmp_path: Path, shape: tuple[int, ...]) -> None:
    spec = SERIES.model_copy(update={"shape": (4, 1), "columns": SERIES.columns[:1]})
    values = np.arange(np.prod(shape), dtype=np.float64).reshape(shape)
    np.save(tmp_path / "windows.npy", values)
    found = load_samples(str(tmp_path / "windows.npy"), make_card(spec)).raw
    np.testing.assert_array_equal(found, values.reshape(-1, 4, 1))
