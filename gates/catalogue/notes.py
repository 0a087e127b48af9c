"""What docs/gates.md says beside the tables of limits and expectations."""

INTRODUCTION = (
    "Any of them may stand in `gates.raw.expectations`, or in a suite that `gates.raw.suites` "
    "names, and is applied to the rows of the raw version: the columns of the recipe, `label`, "
    "`row_id`, `source`, and derived columns such as `image.brightness` or `<column>.flat`."
)
MEMORY = (
    "The default checks hold one shard of rows at a time. Those that compare rows with each other "
    "(rows that repeat another, are shared between splits or look alike, the order of series, "
    "rows of one split among those of another) take keys in ranges, as many as fit into a budget "
    "(`MOST_BYTES` of `storage.upkeep.duplicates` and `storage.pipeline.timeline`, 256 MiB): more "
    "rows take more readings of these keys, not more memory. None of them samples rows; the label "
    "probe does (above). Labels of images, and all figures of single columns, are told by the "
    "manifest where it knows them. Rows that are set aside are listed in memory, with their "
    "reasons; `max_fraction` limits them."
)
QUARANTINE = (
    "Rows are set aside, into `<recipe>-quarantine`, with `on_fail: {<check>: {quarantine: "
    "{max_fraction: 0.01}}}`, if the check fails and its bad rows are no more than that share of "
    "all; more of them stop the run. These checks are about rows:"
)
QUARANTINE_MORE = (
    ". An expectation of your own has its own `on_fail`, and must judge each row "
    "(`expect_column_values_...`). `lepton quarantine list|show|release` looks at them and takes "
    "them out again. What the rows that stay look like to the comparison with the accepted "
    "version is judged with the bad ones among them."
)
DRIFT = (
    "A version of series is compared with those rows of the accepted one that lie in its own span "
    "of time, if they are enough: a season that it does not have is no change. The rows of a "
    "table may come in any order.\n\n"
    "What `max_agreement_loss` can see: only labels that the probe agreed with before can be "
    "missed. Where it agrees with a share `a` of the labels of `K` classes, flipping a share `f` "
    "of them at random lowers that by `f * (a - (1 - a) / (K - 1))`: 4.6 points for 5 % of the "
    "digits of MNIST, of which `a` is 0.93. No row is answered by a probe that learned from it, "
    "in either version. A fall counts if it is above `max_agreement_loss` and beyond chance: `3.1 "
    "* sqrt(a * (1 - a) * (1 / asked + 1 / asked_before))`, which is 1.4 points with 6,000 rows. "
    "Where a probe knows little (`a` near `1 / K`) or one class is rare, flipped labels are seen "
    "by its share alone, or by `max_strength_change`."
)
