"""Hostile files end soon, in little memory, and with their names."""

import json
import pickle
import subprocess
import sys

import pytest

from storage.base.errors import SourceError
from tests.storage.sources.hostile import FILES, read_source

MOST_S, MOST_MIB = 2.0, 300
HEAVY = frozenset({"parquet_of_one_text_15_million_times", "parquet_of_nothing_but_nulls"})
CHILD = """
import json, pickle, sys, time
from pathlib import Path
from tests.storage.sources.hostile import read_source
source, spec, file = pickle.load(open(sys.argv[1], "rb"))
begun, said = time.process_time(), ""
try:
    read_source(source, spec)
except Exception as error:
    said = f"{type(error).__name__}: {error}"
took = time.process_time() - begun
status = Path("/proc/self/status").read_text()  # what getrusage says begins with the parent's
peak = int(status.split("VmHWM:")[1].split()[0]) / 1024
print(json.dumps({"said": said, "took_s": took, "peak_mib": peak}))
"""


@pytest.mark.parametrize("name", sorted(set(FILES) - HEAVY))
def test_a_hostile_file_is_refused_with_its_name(tmp_path, name):
    source, spec, file = FILES[name](tmp_path)
    with pytest.raises(SourceError) as caught:
        read_source(source, spec)
    assert file in str(caught.value)
    assert len(str(caught.value)) < 2000


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(FILES))
def test_a_hostile_file_costs_little(tmp_path, name):
    made = FILES[name](tmp_path)
    (tmp_path / "made.pickle").write_bytes(pickle.dumps(made))
    command = [sys.executable, "-c", CHILD, str(tmp_path / "made.pickle")]
    child = subprocess.run(command, capture_output=True, check=True, timeout=300, text=True)
    found = json.loads(child.stdout)
    assert made[2] in found["said"]
    assert found["said"].startswith("Source")
    assert found["took_s"] <= MOST_S
    assert found["peak_mib"] <= MOST_MIB
