"""Data that nobody has described, for `benchmarks.drafts`: made here, or in ../shared/data.

Each case writes or finds files, and says how `lepton new` is called on them. Nothing of the network
is needed, and no case was used to choose a default of the drafts.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import sklearn.datasets as sets
from PIL import Image

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
Find = Callable[[Path], Path]


@dataclass(frozen=True)
class Case:
    """One data set.

    Attributes:
        name: Of the data set, and of the recipe that is drafted.
        find: Writes it to a folder, or finds it; returns what `lepton new` is given.
        options: What else `lepton new` is told.
        tuned: Whether a tuned model of scikit-learn is a peer: of a table, or of a forecast.
    """

    name: str
    find: Find
    options: tuple[str, ...] = field(default=())
    tuned: bool = False


def write_bunch(name: str) -> Find:
    """Return what writes a set of scikit-learn as CSV, its classes by their names."""

    def write(folder: Path) -> Path:
        bunch = getattr(sets, f"load_{name}")(as_frame=True)
        answer = bunch.target_names[bunch.target] if "target_names" in bunch else bunch.target
        path = folder / f"{name}.csv"
        bunch.frame.assign(answer=answer).drop(columns="target").to_csv(path, index=False)
        return path

    return write


def share(name: str) -> Find:
    """Return what finds data that are at hand."""
    return lambda folder: SHARED / name


def write_digits(folder: Path) -> Path:
    """Write the digits as pictures, one folder a class."""
    digits = sets.load_digits()
    for place, (image, label) in enumerate(zip(digits.images, digits.target, strict=True)):
        (folder / "digits" / str(label)).mkdir(parents=True, exist_ok=True)
        picture = Image.fromarray((image * 15).astype(np.uint8)).resize((16, 16))
        picture.save(folder / "digits" / str(label) / f"{place:04d}.png")
    return folder / "digits"


def write_sales(folder: Path) -> Path:
    """Write what shops sold a day: a week's and a year's pattern, a trend of each shop's own."""
    draw, days = np.random.default_rng(11), np.arange(900)
    lines = ["day,shop,sold"]
    for shop in range(5):
        level = 40 + 15 * shop + 0.01 * shop * days
        wave = 1 + 0.3 * np.sin(2 * np.pi * days / 7) + 0.15 * np.sin(2 * np.pi * days / 365)
        sold = level * wave + draw.normal(0, 3, len(days))
        dates = np.datetime64("2021-01-01") + days
        lines += [f"{day},shop {shop},{value:.2f}" for day, value in zip(dates, sold, strict=True)]
    path = folder / "sales.csv"
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


def write_bearings(folder: Path) -> Path:
    """Write windows of vibration (N, L, C): a fault rings at its frequency, by machine."""
    draw, time = np.random.default_rng(12), np.arange(256) / 2560
    x, y, groups = [], [], []
    for machine in range(20):
        speed, gain = draw.uniform(24, 30), draw.uniform(0.8, 1.2)
        for window in range(30):
            fault = (machine + window // 15) % 2
            phase = draw.uniform(0, 2 * np.pi, 2)
            shaft = np.sin(2 * np.pi * speed * time + phase[0])
            ring = np.sin(2 * np.pi * 400 * time) * (np.sin(np.pi * 3.6 * speed * time) > 0.8)
            both = gain * (shaft + 0.9 * fault * ring)[:, None] * np.array([1.0, 0.6])
            x.append(both + draw.normal(0, 0.4, (256, 2)))
            y.append(fault)
            groups.append(machine)
    path = folder / "bearings.npz"
    np.savez(path, x=np.array(x, np.float32), y=np.array(y), groups=np.array(groups))
    return path


def write_wear(folder: Path) -> Path:
    """Write engines that run to failure: wear grows, and sensors feel it, each with its noise."""
    draw = np.random.default_rng(13)
    lines = ["unit,cycle,load," + ",".join(f"sensor_{place}" for place in range(5))]
    feel = draw.normal(0, 1, 5)
    for unit in range(60):
        life = int(draw.uniform(120, 260))
        for cycle in range(1, life + 1):
            load, wear = draw.uniform(0.8, 1.2), (cycle / life) ** 2.5
            seen = feel * wear + 0.2 * load + draw.normal(0, 0.08, 5)
            lines.append(f"{unit},{cycle},{load:.3f}," + ",".join(f"{each:.4f}" for each in seen))
    path = folder / "wear.csv"
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


CASES = (
    Case("iris", write_bunch("iris"), tuned=True),
    Case("wine", write_bunch("wine"), tuned=True),
    Case("tumours", write_bunch("breast_cancer"), tuned=True),
    Case("mill", share("ai4i2020"), tuned=True),
    Case("diabetes", write_bunch("diabetes"), tuned=True),
    Case("sales", write_sales, tuned=True),
    Case("transformer", share("ett"), tuned=True),
    Case("road", share("traffic-pems-single"), tuned=True),
    Case("digit-pictures", write_digits),
    Case("insects", share("photos-ants-bees")),
    Case("bearings", write_bearings),
    Case("wear", write_wear),
    Case("odd-tumours", write_bunch("breast_cancer"), ("--kind", "anomaly-detection")),
)
