"""The objectives that networks are trained for, in a table that plug-ins can add to."""

from collections.abc import Mapping, Sequence

from lightning_modules.specs.figures import (
    ACCURACY,
    DECIDED,
    ERROR,
    ERRORS,
    MACRO_F1,
    MACRO_RANKED,
    RANKED,
    FigureSpec,
    cut_figure,
)
from lightning_modules.specs.quantiles import list_bands, name_quantile
from lightning_modules.specs.samples import Sample
from lightning_modules.specs.threshold import ThresholdSpec
from lightning_modules.specs.window import WindowSpec
from storage.base.registry import Registry

Outputs = int | tuple[int, ...]
LABEL, TARGET, FUTURE = "label", "target", "__future"


class ObjectiveSpec:
    """One objective: what a recipe, a gate and a page can say about it, without torch.

    Attributes:
        name: "classes", "values", "forecast", "reconstruction", or a plug-in's.
        losses: Built-in losses that suit it; the first is the one of a recipe that names none.
        headline: The figure by which artifacts and champions are compared.
        watched: The figure that is measured beside the loss in every epoch.
        watched_as: The name by which a recipe selects by it.
        select_by: The figure that a recipe selects by that names none.
        asks: Where the truth is: `LABEL` or `TARGET`, fields of a row; `FUTURE`, the steps behind a
            window; None where rows carry none.
        restores: Whether the network gives its input back.
        outputs: Names of an exported network's outputs, in order, with the type of each; the last
            is the one that figures are of.
        baseline_families: Families of networks that are what a baseline is, by its name.
        has_quantiles: Whether its answers can be quantiles of what is asked for.
    """

    name: str
    losses: tuple[str, ...] = ()
    headline: str
    watched: FigureSpec
    watched_as: str
    select_by: str = "loss"
    asks: str | None = None
    restores: bool = False
    outputs: Mapping[str, str]
    baseline_families: Mapping[str, str] = {}
    has_quantiles: bool = False

    def list_outputs(self, sample: Sample) -> dict[str, str]:
        """Returns the names of an exported network's outputs, in order, with the type of each."""
        bands = list_bands(sample.quantiles)
        return {**{name_quantile(level): "float32" for level in bands}, **self.outputs}

    def check_quantiles(self, quantiles: Sequence[float], loss: str | None) -> None:
        """Checks that quantiles can be asked for, and that nothing else is minimised.

        Raises:
            ValueError: They cannot; the sentence begins with the key that must say otherwise.
        """
        if quantiles and not self.has_quantiles:
            able = [row.name for row in OBJECTIVES.rows if row.has_quantiles]
            raise ValueError(
                f"quantiles ({list(quantiles)}) must be asked of numbers ({' or '.join(able)}); "
                "remove them"
            )
        if quantiles and loss is not None:
            raise ValueError(
                f"quantiles ({list(quantiles)}) must be trained by the pinball loss, not by "
                f"train.loss.name {loss}; remove that name"
            )

    def find_params(self, sample: Sample, baseline: str) -> dict[str, int]:
        """Returns the parameters with which a baseline's family is what the baseline is."""
        del sample, baseline
        return {}

    def find_truth(self, sample: Sample) -> str | None:
        """Returns where the truth of samples is, as `asks` says it."""
        del sample
        return self.asks

    def list_metrics(self, classes: int, *, labelled: bool = False) -> tuple[str, ...]:
        """Returns the figures that an epoch can be selected by.

        Args:
            classes: Classes that the recipe names.
            labelled: Whether rows have labels where the objective does not need them.
        """
        del labelled
        return tuple(figure.name for figure in self.list_figures(classes))

    def check_data(self, labels: Sequence[str], target: str | None) -> None:
        """Checks that the rows hold what is asked for.

        Args:
            labels: The classes that the recipe's data section names.
            target: Its column of the number to be predicted.

        Raises:
            ValueError: They do not; the sentence begins with the key that must say otherwise.
        """
        if self.asks == LABEL and len(labels) < 2:
            raise ValueError(
                f"labels ({list(labels)}) must name the classes to tell apart; write label: its "
                "column, and labels: [...] with two classes or more"
            )
        if self.asks == TARGET and target is None:
            raise ValueError(
                "target (absent) must name the column to be predicted; write target: its column"
            )

    def check_positive(self, positive: str | None, labels: Sequence[str]) -> None:
        """Checks that the positive class is one of two that are told apart.

        Raises:
            ValueError: It is not; the sentence begins with the key that must say otherwise.
        """
        if positive is not None and (self.asks != LABEL or len(labels) != 2):
            raise ValueError(
                f"positive ({positive}) must be left out where not two classes are told apart; "
                "remove it"
            )
        if positive is not None and positive not in labels:
            raise ValueError(
                f"positive ({positive}) must be one of data.labels; choose {' or '.join(labels)}"
            )

    def check_threshold(self, threshold: ThresholdSpec | None, labels: Sequence[str]) -> None:
        """Checks that a threshold is chosen between two classes that are told apart.

        Raises:
            ValueError: It is not; the sentence begins with the key that must say otherwise.
        """
        if threshold is not None and (self.asks != LABEL or len(labels) != 2):
            raise ValueError(
                f"threshold ({threshold}) must be left out where not two classes are told apart; "
                "remove it"
            )

    def check_window(self, window: WindowSpec) -> None:
        """Checks that a window holds what is asked for.

        Raises:
            ValueError: It does not; the sentence begins with the key that must say otherwise.
        """

    def list_figures(self, classes: int) -> tuple[FigureSpec, ...]:
        """Returns the figures of answers to so many classes."""
        raise NotImplementedError

    def list_sample_figures(self, sample: Sample) -> tuple[FigureSpec, ...]:
        """Returns the figures of answers to samples: those of so many classes, and more."""
        return self.list_figures(sample.classes)

    def shape_output(self, sample: Sample) -> Outputs | None:
        """Returns what a network gives for a sample; None where that is its input."""
        raise NotImplementedError


class Classes(ObjectiveSpec):
    """To tell classes apart."""

    name = "classes"
    losses = ("cross_entropy", "focal")
    headline = "accuracy"
    watched = ACCURACY
    watched_as = select_by = "accuracy"
    asks = LABEL
    outputs: Mapping[str, str] = {"label": "int64", "probabilities": "float32"}
    baseline_families: Mapping[str, str] = {"linear": "closed_linear"}

    def list_figures(self, classes: int) -> tuple[FigureSpec, ...]:
        """Returns accuracy and F1, and the ranking's: of the positive class, or of every one."""
        return (ACCURACY, MACRO_F1, *(MACRO_RANKED if classes > 2 else RANKED))

    def list_sample_figures(self, sample: Sample) -> tuple[FigureSpec, ...]:
        """Returns recall and precision, too, where a threshold was chosen for them."""
        chosen = DECIDED if sample.threshold is not None else ()
        return (*self.list_figures(sample.classes), *chosen)

    def shape_output(self, sample: Sample) -> Outputs | None:
        """Returns K, the number of logits."""
        return sample.classes


class Values(ObjectiveSpec):
    """To predict a number."""

    name = "values"
    losses = ("mse", "mae", "huber")
    headline = "mae"
    watched = ERROR
    watched_as = "mae"
    asks: str | None = TARGET
    outputs: Mapping[str, str] = {"values": "float32"}
    baseline_families: Mapping[str, str] = {"linear": "closed_linear"}
    has_quantiles = True

    def list_figures(self, classes: int) -> tuple[FigureSpec, ...]:
        """Returns the errors."""
        del classes
        return ERRORS

    def shape_output(self, sample: Sample) -> Outputs | None:
        """Returns 1, the one value, or the number of quantiles."""
        return len(sample.quantiles) or 1

    def shape_value(self, sample: Sample) -> tuple[int, ...]:
        """Returns the shape of one answer: (), or (H, T)."""
        del sample
        return ()


class Forecast(Values):
    """To predict the next steps of some columns."""

    name = "forecast"
    asks = FUTURE
    baseline_families: Mapping[str, str] = {
        "persistence": "seasonal_naive",
        "seasonal naive": "seasonal_naive",
        "linear": "closed_linear",
    }

    def list_sample_figures(self, sample: Sample) -> tuple[FigureSpec, ...]:
        """Returns the errors of all steps, and of the first ones that the window names."""
        horizons = sample.window.horizons if sample.window is not None else ()
        return (*ERRORS, *(cut_figure(each, steps) for steps in horizons for each in ERRORS))

    def find_params(self, sample: Sample, baseline: str) -> dict[str, int]:
        """Returns the season; that of persistence is one step, which need not be written."""
        season = sample.window.season if sample.window is not None else None
        return {"season": season} if season and baseline == "seasonal naive" else {}

    def check_window(self, window: WindowSpec) -> None:
        """Checks that there are steps to forecast."""
        if not window.horizon:
            raise ValueError("horizon (0) must be the steps to forecast; write a number from 1 on")

    def shape_output(self, sample: Sample) -> Outputs | None:
        """Returns (H, T) steps of columns, or (Q * H, T) of quantile after quantile."""
        steps, columns = self.shape_value(sample)
        return (steps * (len(sample.quantiles) or 1), columns)

    def shape_value(self, sample: Sample) -> tuple[int, ...]:
        """Returns (H, T) steps of columns."""
        horizon = sample.window.horizon if sample.window is not None else 1
        return (horizon, len(sample.scales[0]))


class Reconstruction(ObjectiveSpec):
    """To give back what is normal, so that what is not shows."""

    name = "reconstruction"
    losses = ("mse", "mae", "huber")
    headline = "average_precision"
    watched = ERROR
    watched_as = "mae"
    restores = True
    outputs: Mapping[str, str] = {"label": "int64", "score": "float32"}
    baseline_families: Mapping[str, str] = {"distance": "distance"}

    def check_data(self, labels: Sequence[str], target: str | None) -> None:
        """Checks that labels, where there are some, tell what is normal from what is not."""
        if labels and len(labels) != 2:
            raise ValueError(
                f"labels ({list(labels)}) must be two, the first of them what is normal; name what "
                "is normal first, as labels: [normal, broken]"
            )

    def find_truth(self, sample: Sample) -> str | None:
        """Returns the label, where there is one."""
        return LABEL if sample.labelled else None

    def list_metrics(self, classes: int, *, labelled: bool = False) -> tuple[str, ...]:
        """Returns the ranking's figures, where labels tell what is normal."""
        return super().list_metrics(classes) if labelled else ()

    def list_figures(self, classes: int) -> tuple[FigureSpec, ...]:
        """Returns the ranking's figures, of what is not normal."""
        del classes
        return RANKED

    def shape_output(self, sample: Sample) -> Outputs | None:
        """Returns None: the network gives its input back."""
        del sample
        return None


OBJECTIVES: Registry[ObjectiveSpec] = Registry("objective", "specs")
for _objective in (Classes(), Values(), Forecast(), Reconstruction()):
    OBJECTIVES.register(_objective.name, _objective)
