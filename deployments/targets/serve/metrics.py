"""What a node counts: requests, answers, time; told in Prometheus' text format.

Counts are plain numbers, so that a request pays little for them; they become Prometheus' families
when somebody looks. No label holds what a client chose: a route is one of a few words.
"""

import threading
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final

from deployments.targets.serve.models import LiveModels, list_versions

if TYPE_CHECKING:
    from prometheus_client.core import Metric

SECONDS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
ROWS: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256, 1024, 10_000)
SHED: Final = (429, 503)
"""Statuses of requests that came too often, or while too much was under way."""
CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
Gauges = Callable[[], dict[str, float]]


class Histogram:
    """How often a number lay below each of some bounds.

    Args:
        bounds: Them, ascending.
    """

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def add(self, value: float) -> None:
        """Counts a number."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value

    def list_buckets(self) -> list[tuple[str, float]]:
        """List each bound and how many numbers were at most so large, the last one all of them."""
        names = [*map(str, self.bounds), "+Inf"]
        total, found = 0, []
        for name, count in zip(names, self.counts, strict=True):
            total += count
            found.append((name, float(total)))
        return found


class Metrics:
    """Counts of one process."""

    def __init__(self) -> None:
        self.requests: dict[tuple[str, int], int] = {}
        self.seconds: dict[str, Histogram] = {}
        self.answers: Counter[str] = Counter()
        self.request_rows = Histogram(ROWS)
        self.batches = Histogram(ROWS)
        self.under_way = 0
        self.gauges: list[Gauges] = []
        self._lock = threading.Lock()

    def note_request(self, route: str, status: int, seconds: float) -> None:
        """Counts a request that was answered, in the loop's thread."""
        asked = route, status
        self.requests[asked] = self.requests.get(asked, 0) + 1
        histogram = self.seconds.get(route)
        if histogram is None:
            histogram = self.seconds[route] = Histogram(SECONDS)
        histogram.add(seconds)

    def note_answer(self, model_id: str, rows: int) -> None:
        """Counts rows that a model answered, in the loop's thread."""
        self.answers[model_id] += rows
        self.request_rows.add(rows)

    def note_batch(self, requests: int) -> None:
        """Counts requests that were answered together, in any thread."""
        with self._lock:
            self.batches.add(requests)


def render_metrics(metrics: Metrics, runtime: LiveModels, counts: dict[str, int]) -> bytes:
    """Return what is counted, as Prometheus reads it.

    Args:
        metrics: The counts.
        runtime: The models that answer.
        counts: Further counts by name.
    """
    from prometheus_client import CollectorRegistry, generate_latest

    class Families:
        def collect(self) -> "Iterator[Metric]":
            yield from _list_families(metrics, runtime, counts)

    registry = CollectorRegistry(auto_describe=False)
    registry.register(Families())
    return generate_latest(registry)


def _list_families(
    metrics: Metrics, runtime: LiveModels, counts: dict[str, int]
) -> "Iterator[Metric]":
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

    yield from _list_requests(metrics)
    answers = CounterMetricFamily("lepton_answers", "Rows that were answered.", labels=["model_id"])
    for model_id, rows in list(metrics.answers.items()):
        answers.add_metric([model_id], rows)
    yield answers
    for name, count in counts.items():
        yield CounterMetricFamily(f"lepton_{name}", f"{name.replace('_', ' ')}.", value=count)
    yield _tell_histogram("lepton_request_rows", "Rows of a request.", {"": metrics.request_rows})
    yield _tell_histogram(
        "lepton_batch_requests", "Requests that were answered together.", {"": metrics.batches}
    )
    models = GaugeMetricFamily(
        "lepton_model_info",
        "Models that can be asked; the current one has 1.",
        labels=["model_id", "name", "channel", "release"],
    )
    for place, live in enumerate(list_versions(runtime)):
        release = live.verified.release
        labels = [live.model_id, live.card.name, release.channel, str(release.number)]
        models.add_metric(labels, 0 if place else 1)
    yield models
    for gauges in metrics.gauges:
        for name, value in gauges().items():
            yield GaugeMetricFamily(f"lepton_{name}", f"{name.replace('_', ' ')}.", value=value)


def _list_requests(metrics: Metrics) -> "Iterator[Metric]":
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

    requests = CounterMetricFamily(
        "lepton_requests", "Requests that were answered.", labels=["route", "status"]
    )
    shed = CounterMetricFamily(
        "lepton_sheds", "Requests that were refused since there were too many.", labels=["route"]
    )
    refused: Counter[str] = Counter()
    for (route, status), count in list(metrics.requests.items()):
        requests.add_metric([route, str(status)], count)
        refused[route] += count if status in SHED else 0
    for route, count in refused.items():
        shed.add_metric([route], count)
    yield requests
    yield shed
    yield _tell_histogram(
        "lepton_request_seconds", "Time from a request's head to its answer.", metrics.seconds
    )
    yield GaugeMetricFamily(
        "lepton_requests_under_way", "Requests under way.", value=metrics.under_way
    )


def _tell_histogram(name: str, words: str, found: dict[str, Histogram]) -> Any:
    from prometheus_client.core import HistogramMetricFamily

    by_route = "" not in found
    family = HistogramMetricFamily(name, words, labels=["route"] if by_route else [])
    for route, histogram in list(found.items()):
        labels = [route] if by_route else []
        family.add_metric(labels, histogram.list_buckets(), histogram.sum)
    return family
