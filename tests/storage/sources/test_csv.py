"""What a recipe may say of CSV files: how they are packed, and how they write numbers."""

import bz2
import gzip
import lzma

import numpy as np
import pyarrow as pa
import pytest

from storage.base.errors import SourceError
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
