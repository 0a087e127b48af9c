"""What `lepton run`, `feedback` and `fleet` import before their work and in it."""

from importlib import import_module

for name in (
    "lepton_ai.cli",
    "flows.lifecycle",
    "flows.feedback",
    "flows.run.server",
    "deployments.targets.fleet",
    "great_expectations",
    "distributed",
    "sklearn.metrics",
):
    import_module(name)
