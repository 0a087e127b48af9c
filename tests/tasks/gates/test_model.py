import pytest

from gates.model.classes import ACCURACY, name_precision
from gates.model.reconstruction import AUROC, AVERAGE_PRECISION
from gates.model.values import MAE, RMSE
from lightning_modules.specs.objectives import OBJECTIVES


@pytest.mark.parametrize(
    ("objective", "labels", "judged"),
    [
        ("classes", ("no", "yes"), {ACCURACY, "average_precision"}),
        ("classes", ("a", "b", "c"), {ACCURACY, "macro_average_precision"}),
        ("values", (), {MAE, RMSE}),
        ("forecast", (), {MAE, RMSE}),
        ("reconstruction", (), {AVERAGE_PRECISION, AUROC}),
    ],
)
def test_the_gate_judges_figures_that_the_objective_measures(objective, labels, judged):
    measured = {figure.name for figure in OBJECTIVES.find(objective).list_figures(len(labels))}
    assert judged <= measured
    if objective == "classes":
        assert name_precision(labels) in judged
