"""Whole recipes, one a kind, as docs/recipe.md shows them: each loads as it stands."""

from collections.abc import Mapping

EXAMPLES: Mapping[str, tuple[str, str]] = {
    "image-classification": (
        "Photos in one folder a class, `pets/cat` and `pets/dog`.",
        """\
format: 1
name: pets
kind: image-classification
source: {type: images, url: pets}
data:
  image: {shape: [3, 64, 64], dtype: uint8, value_range: [0, 255]}
  labels: [cat, dog]
  split: {by: hash, held_out: 0.2, validation: 0.15}
gates:
  model: {min_accuracy: 0.8}
model:
  network: {family: cnn, params: {widths: [16, 32, 64], stem_stride: 2}}
train:
  max_epochs: 20
  augmentation: {flip: true}
targets:
  pets-edge: {prefer: [int8, fp32]}
""",
    ),
    "tabular-classification": (
        "Customers, of whom a few leave: average precision counts, not accuracy.",
        """\
format: 1
name: churn
kind: tabular-classification
source: {type: csv, url: customers.csv, delimiter: ";"}
data:
  numbers: [age, calls, "monthly charges"]
  texts: [contract, region]
  label: left
  labels: ["no", "yes"]
  missing: ["", "-", "-999"]
  split: {by: hash, held_out: 0.2, validation: 0.15}
gates:
  model: {min_gain_over_majority: null, min_average_precision: 0.5, min_slice_accuracy: 0.3}
model:
  network: {family: trees}
compress: {candidates: [fp32]}
targets:
  churn-edge: {prefer: [fp32]}
""",
    ),
    "tabular-regression": (
        "What houses cost; those of one street stay together.",
        """\
format: 1
name: houses
kind: tabular-regression
source: {type: parquet, url: houses.parquet}
data:
  numbers: [area, rooms, built]
  metadata: [street]
  target: price
  split: {by: group, field: street, held_out: 0.2, validation: 0.15}
gates:
  model: {max_mae: 30000}
model:
  network: {family: trees}
compress: {candidates: [fp32]}
targets:
  houses-edge: {prefer: [fp32]}
""",
    ),
    "forecasting": (
        "Sales of shops, each told apart, two weeks ahead; one in ten is below the lowest band.",
        """\
format: 1
name: sales
kind: forecasting
source: {type: csv, url: sales.csv}
data:
  kind: series
  time: date  # [year, month, day] of three columns; {step: 1d} where none tells it
  time_format: "%d.%m.%Y"
  entity: shop
  numbers: [sales, promotion]
  texts: [shop]
  split: {by: time, held_out: 0.2, validation: 0.15}
model:
  head: {calendar: [week], embed: 4}
  network: {family: mlp, params: {widths: [128, 128], mix: true}}
  window: {lookback: 28, horizon: 14, season: 7, targets: [sales], known: [promotion, date]}
  quantiles: [0.1, 0.5, 0.9]
train:
  max_epochs: 20
targets:
  sales-edge: {prefer: [int8, fp32]}
""",
    ),
    "series-classification": (
        "What a person does, from windows of a phone's sensors, an array (N, 128, 3); no person is "
        "in two splits.",
        """\
format: 1
name: activity
kind: series-classification
source: {type: arrays, url: phones.npz, train: [x, y, person], held_out: null}
data:
  kind: series
  entity: window
  time: step
  time_format: "%s"
  numbers: [ax, ay, az]
  metadata: [person]
  label: activity
  labels: [walking, sitting, stairs]
  split: {by: group, field: person, held_out: 0.2, validation: 0.15}
model:
  network: {family: cnn}
  window: {lookback: 128}
targets:
  activity-edge: {prefer: [int8, fp32]}
""",
    ),
    "series-regression": (
        "How much life an engine has left, from its last thirty cycles, of new ones 125.",
        """\
format: 1
name: engines
kind: series-regression
source: {type: csv, url: engines.csv}
data:
  kind: series
  time: cycle
  time_format: "%s"
  entity: engine
  numbers: [temperature, pressure, speed]
  target: {remaining: cycle, cap: 125}
  split: {by: entity, held_out: 0.2, validation: 0.15}
model:
  network: {family: rnn, params: {cell: gru, width: 32}}
  window: {lookback: 30}
targets:
  engines-edge: {prefer: [int8, fp32]}
""",
    ),
    "anomaly-detection": (
        "Pumps that behave unlike the others, a file each; a few known faults judge what is found.",
        """\
format: 1
name: pumps
kind: anomaly-detection
source: {type: csv, url: pumps, path_columns: "{pump}.csv", delimiter: ";", decimal: ","}
data:
  kind: table
  numbers: [pressure, flow, current]
  metadata: [pump]
  label: state
  labels: [normal, fault]
  split: {by: group, field: pump, held_out: 0.3, validation: 0.2}
model:
  network: {family: autoencoder, params: {widths: [32], code: 2}}
targets:
  pumps-edge: {prefer: [fp32]}
""",
    ),
}
"""A sentence on each, and the text of the recipe, by its kind."""


def show_examples() -> list[str]:
    """Return the examples as blocks of Markdown."""
    blocks = [
        "## Examples",
        "One whole recipe a kind. `lepton new FILE` drafts one for data of your own, `lepton "
        "recipes show NAME` prints those that come with Lepton.",
    ]
    for kind, (sentence, text) in EXAMPLES.items():
        blocks += [f"### {kind}", sentence, f"```yaml\n{text}```"]
    return blocks
