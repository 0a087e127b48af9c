"""Manifests: what other systems read of them is what was meant."""

import configparser
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import onnx
import pytest
import yaml
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format

from deployments.targets.errors import ExportError
from deployments.targets.run.live import Runtime
from deployments.targets.run.manifests import (
    WRITERS,
    Deployment,
    to_yaml,
    write_compose,
    write_kserve,
    write_systemd,
    write_triton,
)
from deployments.targets.trust.address import Location, locate_channel
from lepton_ai.commands.export import System
from tests.deployments.targets.material import make_channel, make_onnx, publish_model
from tests.flows.material import call

NUMPY = {"TYPE_UINT8": "uint8", "TYPE_INT64": "int64", "TYPE_FP32": "float32"}
URL = "s3://models/$HOME/channels/edge"


@pytest.fixture
def deployment(workspace: Path) -> Deployment:
    publish_model(make_channel(workspace), 1, None)
    live = Runtime("edge", str(workspace)).current
    return Deployment(live, locate_channel("edge", str(workspace)), "lepton-ai:1", 8081)


def at_url(deployment: Deployment) -> Deployment:
    return replace(deployment, location=Location(URL, "edge", None))


def make_config() -> Any:
    """The part of Triton's ModelConfig that a manifest uses, as a message class."""
    file = descriptor_pb2.FileDescriptorProto(name="model_config.proto", package="inference")
    kinds = {"string": 9, "int32": 5, "int64": 3}
    messages: dict[str, dict[str, tuple[str, bool]]] = {
        "ModelTensorReshape": {"shape": ("int64", True)},
        "ModelTensor": {
            "name": ("string", False),
            "data_type": ("enum DataType", False),
            "dims": ("int64", True),
            "reshape": ("ModelTensorReshape", False),
        },
        "ModelInstanceGroup": {"kind": ("enum Kind", False)},
        "ModelConfig": {
            "name": ("string", False),
            "platform": ("string", False),
            "max_batch_size": ("int32", False),
            "default_model_filename": ("string", False),
            "input": ("ModelTensor", True),
            "output": ("ModelTensor", True),
            "instance_group": ("ModelInstanceGroup", True),
        },
    }
    for name, values in (
        ("DataType", ("TYPE_INVALID", *NUMPY)),
        ("Kind", ("KIND_AUTO", "KIND_CPU")),
    ):
        made = file.enum_type.add(name=name)
        for number, value in enumerate(values):
            made.value.add(name=value, number=number)
    for name, fields in messages.items():
        message = file.message_type.add(name=name)
        for number, (field, (kind, many)) in enumerate(fields.items(), 1):
            added = message.field.add(name=field, number=number, label=3 if many else 1)
            if kind in kinds:
                added.type = kinds[kind]
            else:
                added.type = 14 if kind.startswith("enum ") else 11
                added.type_name = f".inference.{kind.removeprefix('enum ')}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("inference.ModelConfig"))()


def test_triton_is_told_what_onnxruntime_says(deployment: Deployment) -> None:
    config = text_format.Parse(write_triton(deployment), make_config())
    kinds = {
        number: name
        for name, number in config.DESCRIPTOR.file.enum_types_by_name[
            "DataType"
        ].values_by_name.items()
        for number in [number.number]
    }
    assert (config.platform, config.default_model_filename) == ("onnxruntime_onnx", "int8.onnx")
    inputs, outputs = deployment.live.predictor.list_ports()
    for tensors, ports in ((config.input, inputs), (config.output, outputs)):
        assert [tensor.name for tensor in tensors] == [port.name for port in ports]
        for tensor, port in zip(tensors, ports, strict=True):
            assert NUMPY[kinds[tensor.data_type]] == port.dtype
            shape = tensor.reshape.shape if tensor.HasField("reshape") else tensor.dims
            assert tuple(shape) == port.shape
            assert list(tensor.dims)
    # Against the model itself, too: batch first, which max_batch_size stands for.
    graph = onnx.load_from_string(make_onnx(1)).graph
    for tensor, value in zip(config.input, graph.input, strict=True):
        axes = value.type.tensor_type.shape.dim
        assert axes[0].dim_param
        assert [axis.dim_value for axis in axes[1:]] == list(tensor.dims)


def test_an_axis_of_any_length_and_a_dtype_that_triton_does_not_know(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    from deployments.targets.run.runtime import Port, Predictor

    ports = ([Port("a", "float32", (None, 3))], [Port("b", "float32", ())])
    monkeypatch.setattr(Predictor, "list_ports", lambda _: ports)
    config = text_format.Parse(write_triton(deployment), make_config())
    assert list(config.input[0].dims) == [-1, 3]
    monkeypatch.setattr(Predictor, "list_ports", lambda _: ([Port("a", "tensor(x)", ())], []))
    with pytest.raises(ExportError, match=r"'a' must be of bool.*lepton serve"):
        write_triton(deployment)


def test_kserve_starts_what_verifies(deployment: Deployment) -> None:
    with pytest.raises(ExportError, match="at a URL that a cluster reaches"):
        write_kserve(deployment)
    document = yaml.safe_load(write_kserve(at_url(deployment)))
    assert (document["apiVersion"], document["kind"]) == (
        "serving.kserve.io/v1beta1",
        "InferenceService",
    )
    predictor = document["spec"]["predictor"]
    (container,) = predictor["containers"]
    assert container["name"] == "kserve-container"
    shell, flag, script = container["command"]
    assert (shell, flag) == ("sh", "-c")
    trust, serve = (shlex.split(part) for part in script.split(" && exec "))
    assert trust == ["lepton", "keys", "import", "/etc/lepton/keys.json"]
    assert serve[:4] == ["lepton", "serve", "--channel", URL]
    assert serve[-1] == str(container["ports"][0]["containerPort"]) == "8081"
    assert {mount["name"] for mount in container["volumeMounts"]} == {
        volume["name"] for volume in predictor["volumes"]
    }
    assert all(isinstance(value, str) for value in document["metadata"]["annotations"].values())


def test_compose_lets_this_machine_alone_ask(deployment: Deployment) -> None:
    document = yaml.safe_load(write_compose(deployment))
    (service,) = document["services"].values()
    assert service["ports"] == ["127.0.0.1:8081:8081"]
    assert f"{deployment.location.url}:/srv/channels/edge:ro" in service["volumes"]
    assert "/srv/channels/edge" in service["command"][-1]
    remote = yaml.safe_load(write_compose(at_url(deployment)))
    (service,) = remote["services"].values()
    assert "$$HOME" in service["command"][-1]
    assert not [volume for volume in service["volumes"] if "/srv/" in volume]


def test_systemd_reads_the_unit(deployment: Deployment) -> None:
    unit = configparser.ConfigParser(interpolation=None, strict=False)
    unit.optionxform = str  # type: ignore[assignment, method-assign]
    unit.read_string(write_systemd(at_url(deployment)))
    assert set(unit.sections()) == {"Unit", "Service", "Install"}
    started = shlex.split(unit["Service"]["ExecStart"])
    assert started[:3] == ["/usr/bin/env", "lepton", "serve"]
    assert "s3://models/$$HOME/channels/edge" in started
    assert unit["Service"]["ProtectHome"] == "yes"
    # A folder of this machine may lie in somebody's home.
    assert "\nProtectHome=read-only\n" in write_systemd(deployment)
    # The keys are handed over by systemd: the service's own user may not read them.
    assert unit["Service"]["LoadCredential"] == "keys.json:/etc/lepton/keys.json"
    assert unit["Service"]["ExecStartPre"].endswith("lepton keys import %d/keys.json")


def test_yaml_says_what_was_meant() -> None:
    value = {
        "a b": [],
        "no": {"x": ["off", "1", 1, None, True, 'a "quoted": #text\n', {"y": {}}]},
        "list": [["nested", 2], {"k": [1.5]}],
    }
    assert yaml.safe_load(to_yaml(value)) == value


def test_each_writer_can_be_asked_for() -> None:
    assert {system.value for system in System} == set(WRITERS)


@pytest.mark.parametrize("system", sorted(WRITERS))
def test_the_command_prints_one_manifest(workspace: Path, system: str) -> None:
    publish_model(make_channel(workspace), 1, None)
    done = call("manifest", system, "edge", "-w", str(workspace))
    assert done.status == (1 if system == "kserve" else 0)
    assert ("edge" in done.out) == (system != "kserve")
