"""Files by which others run a channel's model: Triton, KServe, Docker Compose, systemd.

Triton gets the artifact alone, as `lepton export` writes it, and a configuration of what
onnxruntime says of it. The others start `lepton serve`, which follows the channel and verifies
whatever it takes.
"""

import json
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from deployments.targets.errors import ExportError
from deployments.targets.run.live import LiveModel
from deployments.targets.run.runtime import Port
from deployments.targets.trust.address import Location

MOST_ROWS: Final = 256
"""Rows that Triton may put into one call, as many as the runtime here does."""
_EVERYWHERE: Final = "0.0.0.0"  # noqa: S104 - of a container, whose ports its system opens
KEYS: Final = "/etc/lepton/keys.json"
_WORDS: Final = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})
"""What YAML 1.1 takes for no text."""
_STATE: Final = "/var/lib/lepton"
_FOLDERS: Final = {
    "LEPTON_CACHE_DIR": f"{_STATE}/cache",
    "LEPTON_CONFIG_DIR": f"{_STATE}/config",
}
_USER: Final = 10001
_TRITON: Final = {
    "bool": "TYPE_BOOL",
    "uint8": "TYPE_UINT8",
    "int8": "TYPE_INT8",
    "uint16": "TYPE_UINT16",
    "int16": "TYPE_INT16",
    "int32": "TYPE_INT32",
    "int64": "TYPE_INT64",
    "float32": "TYPE_FP32",
    "float64": "TYPE_FP64",
}


@dataclass(frozen=True)
class Deployment:
    """What a manifest is written of.

    Attributes:
        live: The channel's model, loaded.
        location: The channel's address.
        image: Name of the container image that holds Lepton.
        port: Where it is asked.
    """

    live: LiveModel
    location: Location
    image: str
    port: int

    @property
    def name(self) -> str:
        """A name that every system takes: a to z, digits and hyphens."""
        channel = "".join(c if c.isalnum() else "-" for c in self.location.name).strip("-")
        return f"lepton-{channel}"[:60].rstrip("-")

    @property
    def notes(self) -> dict[str, str]:
        """What was live as the manifest was written."""
        release = self.live.verified.release
        return {
            "ai.lepton/channel": release.channel,
            "ai.lepton/release": str(release.number),
            "ai.lepton/model-id": release.model_id,
        }

    def serve(self, channel: str, host: str, *said: str) -> list[str]:
        """Return the command that serves a channel's address."""
        command = ["lepton", "serve", "--channel", channel, *said]
        return [*command, "--host", host, "--port", str(self.port)]

    def serve_inside(self, channel: str) -> list[str]:
        """Return the command of a container, which trusts the publisher before it serves.

        Who reaches a container, its system says: it is open to them.
        """
        served = shlex.join(self.serve(channel, _EVERYWHERE, "--open-to-all"))
        return ["sh", "-c", f"lepton keys import {KEYS} && exec {served}"]


def write_triton(deployment: Deployment) -> str:
    """Write Triton's config.pbtxt of the artifact that `lepton export` writes.

    It lies in MODEL/config.pbtxt, the artifact in MODEL/1/.
    """
    inputs, outputs = deployment.live.predictor.list_ports()
    release = deployment.live.verified.release
    lines = [
        f"# {release.title} on channel {release.channel}",
        f"name: {_quote(deployment.name)}",
        'platform: "onnxruntime_onnx"',
        f"max_batch_size: {MOST_ROWS}",
        f"default_model_filename: {_quote(release.file)}",
        *_list_ports("input", inputs),
        *_list_ports("output", outputs),
        "instance_group [ { kind: KIND_CPU } ]",
    ]
    return "\n".join(lines) + "\n"


def _list_ports(side: str, ports: list[Port]) -> list[str]:
    found = []
    for port in ports:
        dims = ", ".join("-1" if length is None else str(length) for length in port.shape)
        # A sample's answer may be one number, an array without axes, which dims cannot say.
        shape = f"dims: [ {dims} ]" if dims else "dims: [ 1 ], reshape: { shape: [ ] }"
        kind = _TRITON.get(port.dtype)
        if kind is None:
            raise ExportError(
                f"{side} {port.name!r} must be of {', '.join(_TRITON)} for Triton; got "
                f"{port.dtype}; serve the channel by `lepton serve`"
            )
        found.append(f"{side} [ {{ name: {_quote(port.name)}, data_type: {kind}, {shape} }} ]")
    return found


def write_kserve(deployment: Deployment) -> str:
    """Write a KServe InferenceService (serving.kserve.io/v1beta1) with a container of its own."""
    _require_url(deployment)
    container = {
        "name": "kserve-container",
        "image": deployment.image,
        "command": deployment.serve_inside(deployment.location.display),
        "ports": [{"containerPort": deployment.port, "protocol": "TCP"}],
        "readinessProbe": {"httpGet": {"path": "/v2/health/ready", "port": deployment.port}},
        "livenessProbe": {"httpGet": {"path": "/v2/health/live", "port": deployment.port}},
        "env": [{"name": name, "value": value} for name, value in _FOLDERS.items()],
        "volumeMounts": [
            {"name": "keys", "mountPath": KEYS.rpartition("/")[0], "readOnly": True},
            {"name": "state", "mountPath": _STATE},
        ],
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "runAsNonRoot": True,
            "runAsUser": _USER,
        },
    }
    document = {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {"name": deployment.name, "annotations": deployment.notes},
        "spec": {
            "predictor": {
                "containers": [container],
                "volumes": [
                    {"name": "keys", "secret": {"secretName": f"{deployment.name}-keys"}},
                    {"name": "state", "emptyDir": {}},
                ],
            }
        },
    }
    head = (
        "# lepton keys export keys.json\n"
        f"# kubectl create secret generic {deployment.name}-keys --from-file=keys.json\n"
    )
    return head + to_yaml(document)


def write_compose(deployment: Deployment) -> str:
    """Write a Compose file with one service, which this machine alone can ask."""
    inside = f"/srv/channels/{deployment.location.name}"
    local = deployment.location.store is not None and "://" not in deployment.location.url
    volumes = ["state:" + _STATE, f"./keys.json:{KEYS}:ro"]
    if local:
        volumes.append(f"{deployment.location.url}:{inside}:ro".replace("$", "$$"))
    channel = inside if local else deployment.location.display
    service = {
        "image": deployment.image,
        "command": [part.replace("$", "$$") for part in deployment.serve_inside(channel)],
        "ports": [f"127.0.0.1:{deployment.port}:{deployment.port}"],
        "environment": dict(_FOLDERS),
        "volumes": volumes,
        "labels": deployment.notes,
        "read_only": True,
        "tmpfs": ["/tmp"],  # noqa: S108 - the container's own
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true"],
        "restart": "unless-stopped",
    }
    document = {"services": {deployment.name: service}, "volumes": {"state": {}}}
    head = "# lepton keys export keys.json && chmod a+r keys.json    (public keys alone)\n"
    return head + to_yaml(document)


def write_systemd(deployment: Deployment) -> str:
    """Write a systemd service unit that serves the channel on this machine."""
    served = deployment.serve(deployment.location.display, "127.0.0.1")
    command = " ".join(_quote(part).replace("%", "%%").replace("$", "$$") for part in served[1:])
    state = "%S/lepton"
    home = "yes" if "://" in deployment.location.url else "read-only"
    return f"""\
# lepton keys export keys.json; install it as {KEYS}, which root alone need read
[Unit]
Description=Lepton serves channel {deployment.location.name}
Wants=network-online.target
After=network-online.target

[Service]
Environment=LEPTON_CACHE_DIR={state}/cache LEPTON_CONFIG_DIR={state}/config
LoadCredential=keys.json:{KEYS}
ExecStartPre=/usr/bin/env lepton keys import %d/keys.json
ExecStart=/usr/bin/env lepton {command}
Restart=always
RestartSec=5
DynamicUser=yes
StateDirectory=lepton
NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome={home}
PrivateTmp=yes
PrivateDevices=yes
ProtectKernelTunables=yes
ProtectControlGroups=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX

[Install]
WantedBy=multi-user.target
"""


WRITERS: Final[Mapping[str, Callable[[Deployment], str]]] = {
    "kserve": write_kserve,
    "triton": write_triton,
    "compose": write_compose,
    "systemd": write_systemd,
}


def to_yaml(value: Any, depth: int = 0) -> str:
    """Return plain data as YAML 1.2: blocks, with every scalar as JSON has it."""
    indent = "  " * depth
    if isinstance(value, dict) and value:
        entries = ((f"{indent}{_key(key)}:", each) for key, each in value.items())
    elif isinstance(value, list) and value:
        entries = ((f"{indent}-", each) for each in value)
    else:
        return f"{indent}{json.dumps(value)}\n"
    text = ""
    for head, each in entries:
        nested = isinstance(each, dict | list) and each
        text += f"{head}\n{to_yaml(each, depth + 1)}" if nested else f"{head} {json.dumps(each)}\n"
    return text


def _key(key: str) -> str:
    plain = key.replace("_", "").isalpha() and key.lower() not in _WORDS
    return key if plain else json.dumps(key)


def _quote(text: str) -> str:
    return json.dumps(text)


def _require_url(deployment: Deployment) -> None:
    if "://" not in deployment.location.url:
        raise ExportError(
            f"channel ({deployment.location.display}) must be at a URL that a cluster reaches; got "
            "a folder of this machine; publish to s3://, gs:// or az://, or serve the folder by "
            "http(s)"
        )
