"""A small sample of every form, and networks that answer it."""

from lightning_modules.specs.model import ModelSpec, NetworkSpec
from lightning_modules.specs.samples import CategoryColumn, ImageSample, NumberColumn, RowSample
from lightning_modules.specs.window import WindowSpec

NUMBERS = (NumberColumn(name="a", mean=5.0, std=2.0), NumberColumn(name="b"))
GRADE = CategoryColumn(name="grade", vocabulary=("H", "L", "M"))
WINDOW = WindowSpec(lookback=6, horizon=4, season=3)
IMAGE = ImageSample(
    shape=(1, 8, 8),
    classes=3,
    class_weights=(1.0, 1.0, 1.0),
    value_range=(0, 16),
    mean=(4.9,),
    std=(6.0,),
)
ROW = RowSample(
    objective="classes",
    numbers=NUMBERS,
    categories=(GRADE,),
    classes=2,
    class_weights=(0.6, 3.0),
)
VALUE = RowSample(objective="values", numbers=NUMBERS, target_mean=3.0, target_std=2.0)
FORECAST = RowSample(objective="forecast", numbers=NUMBERS, window=WINDOW, forecast=2)
SCORE = RowSample(objective="reconstruction", numbers=NUMBERS, labelled=True)

SMALL = {"widths": (8,)}
MLP = ModelSpec(network=NetworkSpec(family="mlp", params=SMALL))
SERIES_MLP = ModelSpec(network=NetworkSpec(family="mlp", params=SMALL), window=WINDOW)
AUTOENCODER = ModelSpec(network=NetworkSpec(family="autoencoder", params={"code": 2}))
