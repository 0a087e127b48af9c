"""The head of series."""

from torch import nn

from lightning_modules.errors import SpecError
from lightning_modules.heads.ahead import KnownAhead
from lightning_modules.heads.categories import CategoryTerm
from lightning_modules.heads.entity_scale import EntityScaled
from lightning_modules.heads.instance_norm import InstanceNormalised
from lightning_modules.heads.layout import lay_out
from lightning_modules.heads.rows import RowFormHead
from lightning_modules.specs.model import HeadSpec
from lightning_modules.specs.objectives import OBJECTIVES
from lightning_modules.specs.samples import RowSample


class SeriesHead(RowFormHead):
    """Builds heads of windows of series, (L, D) float64."""

    def measure_features(
        self, head: nn.Module, spec: HeadSpec, sample: RowSample
    ) -> tuple[int, ...]:
        """Returns the shape (L, C) of a window behind the head, the forecast channels first."""
        shape = super().measure_features(head, spec, sample)
        if sample.forecast and (len(shape) != 2 or shape[1] < sample.forecast):
            raise SpecError(
                f"head ({spec.name!r}) must give windows (L, C) of at least {sample.forecast} "
                f"channels, those that are forecast first; got {shape}; correct it"
            )
        return shape

    def shape_input(self, features: tuple[int, ...], sample: RowSample) -> tuple[int, ...]:
        """Returns the shape (L, C) of the past."""
        ahead = sample.window.ahead if sample.window is not None else 0
        return (features[0] - ahead, *features[1:])

    def wrap_network(
        self,
        network: nn.Module,
        spec: HeadSpec,
        sample: RowSample,
        *,
        restores: bool,
        once: bool = False,
    ) -> nn.Module:
        """Returns the network, which sees each window by its own scale if the recipe says so."""
        window = sample.window
        if window is not None and window.ahead:
            network = know_ahead(network, spec, sample, once=once)
        if sample.forecast and sample.categories and not once and spec.name == "standard":
            network = tell_categories(network, spec, sample)
        if spec.instance_norm:
            network = self._see_by_window(network, sample, restores=restores)
        if sample.forecast and spec.normalise == "entity":
            start = lay_out(sample, spec).scales.start
            network = EntityScaled(network, find_last(sample), start, sample.forecast)
        return network

    def _see_by_window(
        self, network: nn.Module, sample: RowSample, *, restores: bool
    ) -> InstanceNormalised:
        """Returns the network, which sees each window by its own scale."""
        window = sample.window
        restored = sample.forecast or (len(sample.numbers) if restores else 0)
        # What is known of steps to come, such as a holiday, has no level of a window.
        numbers = len(sample.numbers) - sample.known
        lookback = window.lookback if window is not None and window.ahead else None
        return InstanceNormalised(network, numbers, restored, lookback)


def know_ahead(network: nn.Module, spec: HeadSpec, sample: RowSample, *, once: bool) -> KnownAhead:
    """Returns the network, beside which the known features of the steps to come answer."""
    window, outputs = sample.window, shape_forecast(sample)
    if window is None:
        raise SpecError("window.known must be of a window; got none; remove it")
    places = () if once else lay_out(sample, spec).list_known(sample)
    return KnownAhead(network, window.lookback, window.horizon, places, outputs)


def tell_categories(network: nn.Module, spec: HeadSpec, sample: RowSample) -> CategoryTerm:
    """Returns the network, beside which the categories of the last step answer."""
    layout = lay_out(sample, spec)
    places = [*(place for column in layout.categories for place in column), *layout.calendar]
    return CategoryTerm(network, find_last(sample), places, shape_forecast(sample))


def find_last(sample: RowSample) -> int:
    """Returns the number of the last step of the past."""
    return sample.window.lookback - 1 if sample.window is not None else -1


def shape_forecast(sample: RowSample) -> tuple[int, ...]:
    """Returns the shape (Q * H, T) of a forecast.

    Raises:
        SpecError: Nothing is forecast.
    """
    outputs = OBJECTIVES.find(sample.objective).shape_output(sample)
    if not isinstance(outputs, tuple):
        raise SpecError("window.known must be of a forecast; got another objective; remove it")
    return outputs
