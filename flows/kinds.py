"""Lists the kinds of recipes: what rows look like times what is asked of them.

A form (`image`, `table`, `series`) and an objective (`classes`, `values`, `forecast`,
`reconstruction`) each have one row in a table of every floor that they touch. A kind says which
of them go together; its figures, losses and gates follow from the objective's rows.
"""

from dataclasses import dataclass

from lightning_modules.specs.objectives import OBJECTIVES
from storage.base.registry import Registry


@dataclass(frozen=True)
class Kind:
    """Says what can be learned from rows.

    Attributes:
        name: What a recipe writes as its `kind`.
        forms: Forms of rows that it can be learned from; the first is taken where `data.kind` is
            not written.
        objective: What is asked of the rows.
        baselines: What its models are shown beside, by the names that the objective fits them by;
            "seasonal naive" only where `model.window.season` says how long a season is.
    """

    name: str
    forms: tuple[str, ...]
    objective: str
    baselines: tuple[str, ...] = ()

    @property
    def headline(self) -> str:
        """The figure by which its models and artifacts are compared."""
        return OBJECTIVES.find(self.objective).headline

    @property
    def losses(self) -> tuple[str, ...]:
        """Names of the built-in losses that suit it; the first is its own."""
        return OBJECTIVES.find(self.objective).losses


KINDS: Registry[Kind] = Registry("kind of recipe", "flows")
"""Holds every kind by its name; a plug-in's module `flows` registers its own."""


def register_kind(kind: Kind) -> Kind:
    """Adds a kind under its name."""
    return KINDS.register(kind.name, kind)


register_kind(
    Kind(
        "image-classification",
        ("image",),
        "classes",
        ("majority", "linear", "nearest neighbours"),
    )
)
register_kind(Kind("tabular-classification", ("table",), "classes", ("majority", "linear")))
register_kind(Kind("tabular-regression", ("table",), "values", ("mean", "linear")))
register_kind(
    Kind("forecasting", ("series",), "forecast", ("persistence", "seasonal naive", "linear"))
)
register_kind(Kind("series-classification", ("series",), "classes", ("majority", "linear")))
register_kind(Kind("series-regression", ("series",), "values", ("mean", "linear")))
register_kind(
    Kind(
        "anomaly-detection",
        ("table", "series"),
        "reconstruction",
        ("distance", "nearest neighbours", "isolation forest"),
    )
)
