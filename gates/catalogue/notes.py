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
    "by its share alone, or by `max_strength_change`.\n\n"
    "Of single devices, what no season changes is judged of rows that are new or others than "
    "accepted. A clock is late where both halves of these have their day at another hour, by more "
    "than any device's parts had it before: on devices whose day keeps its shape. A smallest step "
    "is judged where each quarter of a device's accepted rows shows it, as sensors that count do; "
    "twelve changes of that size must be due before their absence counts. Measured on 156 clean "
    "continuations that ended at 13 times and were a twentieth to a quarter long (six loads over "
    "each of two years, the second with oil temperature as one device, three months of traffic): "
    "none was stopped by clock or step. Of clocks 2, 3 or 4 hours wrong in a tenth or a quarter "
    "of the traffic 15 of 24 were found, of the weakest of the six loads 1 of 24."
)
MODEL = (
    "What these limits cost honest models, by `python -m benchmarks.limits` (its table is in "
    "benchmarks/RESULTS.md): of 75 classifiers of five data sets, each beside a champion fitted "
    "alike, `max_overconfidence` stopped or warned of none, `max_unproven_loss_to_champion` "
    "stopped one, and `max_loss_to_champion` the same one, of 45 held-out rows. "
    "`max_calibration_error` stopped the 5 forests of ten classes, which are much less sure "
    "than they are right: calibrate them, or raise it. Where 3 % of the rows are of a class, "
    "`min_gain_over_majority` stops all, and `min_slice_accuracy` what is only linear: judge "
    "`min_average_precision` there. Of 5 forecasts that are a little better than their baseline "
    "`max_worse_slices` stopped none; of 5 that are as good it stopped 3, since more than a "
    "fifth of their columns or steps were surely worse by a little. `min_windows` stops before "
    "training what `min_judged_rows`, which asks for more, would stop behind it."
)
