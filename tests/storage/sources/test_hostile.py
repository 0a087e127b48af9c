"""Hostile files end soon, in little memory, and with their names."""

import json
import pickle
import subprocess
import sys

import pytest

from storage.base.errors import SourceError
from storage.base.limits import MAX_PIXELS
from tests.storage.sources.hostile import FILES, LARGE, read_source

MOST_S, MOST_MIB, BASE_MIB = 2.0, 300, 110
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
    found = read_in_child(made, tmp_path)
    assert made[2] in found["said"]
    assert found["said"].startswith("Source")
    assert found["took_s"] <= MOST_S
    assert found["peak_mib"] <= MOST_MIB


@pytest.mark.slow
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", sorted(LARGE))
def test_a_large_picture_is_read_in_little_memory(tmp_path, name, channels):
    source, spec, file = LARGE[name](tmp_path)
    image = spec.image.model_copy(update={"shape": (channels, 28, 28)})
    spec = spec.model_copy(update={"image": image})
    found = read_in_child((source, spec, file), tmp_path)
    assert found["said"] == ""
    # A picture of colours is held once as it is, and once as what is learned from.
    held = 2 if "colours" in name or "transparency" in name else 1
    assert found["peak_mib"] <= max(MOST_MIB, held * 4 * MAX_PIXELS / 2**20 + BASE_MIB)


def read_in_child(made, tmp_path):
    """Reads a file in a process of its own; returns what that said, and what it cost."""
    (tmp_path / "made.pickle").write_bytes(pickle.dumps(made))
    command = [sys.executable, "-c", CHILD, str(tmp_path / "made.pickle")]
    child = subprocess.run(command, capture_output=True, check=True, timeout=300, text=True)
    return json.loads(child.stdout)
