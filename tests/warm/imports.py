"""What a training process imports before its work and in it."""

from importlib import import_module

from lightning_modules.compress.onnx_export import warm_up_exporter

for name in ("tasks.training.steps", "lightning_modules.compress.candidates", "sklearn.metrics"):
    import_module(name)
warm_up_exporter()
