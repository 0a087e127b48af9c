"""What an endpoint is told: by options, by a file of them, by what is usual."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from deployments.targets.errors import ServeError
from deployments.targets.serve.exposure import Exposure, plan_exposure
from deployments.targets.specs import Records
from storage.base.store import redact

MAX_FILE_BYTES = 2**20


class ServeSettings(BaseModel):
    """An endpoint's settings; the keys of a `--config` file are these names.

    Attributes:
        channel: The channel that it follows, in the workspace or at an address.
        workspace: Folder or URL of the workspace.
        host: Address that it listens on.
        port: Its port; 0: a free one.
        id: The endpoint's id, the first half of answer ids; None: one that no other has.
        device_class: The class of devices that it is of.
        interval_s: Seconds between two looks at the channel.
        api_keys: Folder of API keys; None: that of the config directory, if it is there.
        tls_certificate: PEM file of its certificate and of those above it.
        tls_key: PEM file of the private key; None: it is in the same file.
        records: The most that is kept of what it is asked; a recipe may say less.
        state: Folder of the endpoint's key and of what it keeps, until that was sent.
        uplink: Where that is sent; None: the workspace's `uplinks`.
        policy: Which answers are kept: "all" or "sampled:P".
        spool_bytes: The most that they take on the disk.
        log: "text": what goes wrong, as text; "json": lines of JSON, one a request besides.
        workers: Processes that answer behind its port.
        open_to_all: Whether everybody who reaches it is answered, without a key.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    channel: str = "cloud"
    workspace: str = "./workspace"
    host: Annotated[str, Field(min_length=1)] = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8080
    id: str | None = None
    device_class: str | None = None
    interval_s: Annotated[float, Field(ge=0.05, allow_inf_nan=False)] = 30.0
    api_keys: Path | None = None
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    records: Records = "off"
    state: Path | None = None
    uplink: str | None = None
    policy: str = "all"
    spool_bytes: Annotated[int, Field(ge=2**20)] = 256 * 2**20
    log: Literal["text", "json"] = "text"
    workers: Annotated[int, Field(ge=1, le=64)] = 1
    open_to_all: bool = False

    @model_validator(mode="after")
    def _check_words(self) -> Self:
        if self.open_to_all and self.api_keys is not None:
            raise ValueError("open_to_all and api_keys exclude each other: give one of both")
        if self.records != "off" and (self.state is None or self.id is None):
            raise ValueError("records need an id and a state folder to be kept: give both")
        if self.records != "off" and self.workers > 1:
            raise ValueError("records are kept by one process: give either records or workers")
        return self

    @property
    def uplink_url(self) -> str:
        """Where records are sent."""
        return self.uplink or self.workspace.rstrip("/") + "/uplinks"

    def plan_exposure(self) -> Exposure:
        """Find out what protects the endpoint.

        Raises:
            ServeError: Nothing does, or what was given cannot be used.
            KeyStoreError: The keys cannot be read.
        """
        return plan_exposure(
            self.host,
            api_keys=self.api_keys,
            tls_certificate=self.tls_certificate,
            tls_key=self.tls_key,
            open_to_all=self.open_to_all,
        )


def load_settings(file: Path | None, given: Mapping[str, Any]) -> ServeSettings:
    """Return the settings of a file, with those that were given on top.

    Args:
        file: A TOML file; keys, certificates and the state folder are looked for beside it. None:
            there is none.
        given: Name of a setting to its value; None: it was not given.

    Raises:
        ServeError: The file cannot be read, or a setting is none.
    """
    said = {} if file is None else _read_file(file)
    said |= {name: value for name, value in given.items() if value is not None}
    try:
        return ServeSettings.model_validate(said)
    except ValidationError as error:
        fault = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(map(str, fault["loc"])) or "settings"
        raise ServeError(
            f"settings of an endpoint ({'options' if file is None else redact(str(file))}) must be "
            f"known ones; got {redact(where)[:80]}: {fault['msg']}; give some of "
            f"{', '.join(ServeSettings.model_fields)}"
        ) from None


def _read_file(file: Path) -> dict[str, Any]:
    shown = redact(str(file))
    try:
        with file.open("rb") as stream:
            said = tomllib.loads(stream.read(MAX_FILE_BYTES).decode())
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or redact(str(error))
        raise ServeError(
            f"settings ({shown}) must be a TOML file that can be read; got {reason}; correct it"
        ) from None
    for name in ("api_keys", "tls_certificate", "tls_key", "state"):
        if isinstance(said.get(name), str):
            said[name] = file.parent / said[name]
    return said
