"""The rows and recipes that data/made_before.tar.xz was made of. Imports nothing of Lepton."""

import io

import fsspec
import numpy as np

SHARD_BYTES = 2000
SECTIONS = {
    "image": {
        "image": {"shape": [1, 4, 4], "dtype": "uint8", "value_range": [0, 250]},
        "labels": ["dark", "light"],
        "split": {"by": "hash", "held_out": 0.2},
    },
    "table": {
        "numbers": ["width", "height"],
        "texts": ["colour"],
        "label": "fits",
        "labels": ["no", "yes"],
        "split": {"by": "hash", "held_out": 0.25},
        "filter": [{"field": "width", "at_least": 0}],
    },
    "series": {
        "numbers": ["load"],
        "target": "load_then",
        "time": "date",
        "entity": "sensor",
        "split": {"by": "time", "held_out": 0.2},
    },
}
SOURCES = {
    "image": {"url": "memory://made-before/images", "train": ["x", "y"], "held_out": None},
    "table": {"url": "memory://made-before/table.csv"},
    "series": {"url": "memory://made-before/series.csv"},
}


def write_inputs() -> None:
    """Puts the sources' files into fsspec's memory."""
    files = fsspec.filesystem("memory")
    rng = np.random.default_rng(7)
    images = rng.integers(0, 256, (60, 1, 4, 4), dtype=np.uint8)
    images[10:20] = images[:10]
    for name, values in (("x", images), ("y", images.mean(axis=(1, 2, 3)) > 127)):
        held = io.BytesIO()
        np.save(held, values.astype(np.uint8))
        files.pipe(f"/made-before/images/{name}.npy", held.getvalue())
    lines = ["width,height,colour,fits"]
    for row in range(90):
        width = "" if row % 17 == 3 else f"{(row * 37) % 50 - 2}"
        colour = ("red", "green", "blue")[row % 3]
        lines.append(f"{width},{row * 0.25},{colour},{'yes' if row % 4 else 'no'}")
    files.pipe("/made-before/table.csv", "\n".join(lines).encode())
    lines = ["date,sensor,load,load_then"]
    for row in range(80):
        hour, sensor = row // 2, "north" if row % 2 else "south"
        lines.append(
            f"2026-01-{1 + hour // 24:02d} {hour % 24:02d}:00,{sensor},{row}.5,{row + 2}.5"
        )
    lines[5], lines[9] = lines[9], lines[5]
    files.pipe("/made-before/series.csv", "\n".join(lines).encode())
