"""Everything that can be set on the operator, read once from SELFTRAIN_* variables. An unknown one is an error."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from selftrain.api.base import DnsName
from selftrain.api.pods import PodSettings
from selftrain.kube.jobs import Defaults
from selftrain.kube.pods import Images

PREFIX = "SELFTRAIN_"

Image = Annotated[str, Field(min_length=1, max_length=512)]


class SettingsError(Exception):
    """The environment is not as it must be. The message names the variables."""


class Settings(BaseModel):
    """The operator's configuration."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    image_controller: Image
    """Image of the stages that need no engine, which is the operator's own."""
    image_generate: Image
    """Image of the stages that sample with vLLM."""
    image_train: Image
    """Image of the train stage."""
    pods: PodSettings = PodSettings()
    """Settings for the pods of all stages (JSON), which a run's own win over."""
    namespaces: tuple[DnsName, ...] = ()
    """Namespaces whose runs are looked after, separated by commas; none means all."""
    own_namespace: DnsName
    """Namespace of the operator's Lease."""
    identity: Annotated[str, Field(min_length=1, max_length=253)]
    """Name of this process among its replicas, which is the pod's name."""
    lease_name: DnsName = "selftrain-controller"
    """Name of the Lease that only one replica holds."""
    workers: Annotated[int, Field(ge=1, le=64)] = 4
    """Runs looked at at the same time."""
    resync_seconds: Annotated[int, Field(ge=10, le=3600)] = 300
    """How often every run is looked at even if nothing has happened: what a lost event costs at most."""
    health_port: Annotated[int, Field(ge=1, le=65535)] = 8080
    """Port that answers GET /healthz."""

    @field_validator("namespaces", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return [name.strip() for name in value.split(",") if name.strip()] if isinstance(value, str) else value

    @field_validator("pods", mode="before")
    @classmethod
    def _parse(cls, value: object) -> object:
        return PodSettings.model_validate_json(value) if isinstance(value, str) else value

    @property
    def defaults(self) -> Defaults:
        """What the chart says about the pods of stages."""
        return Defaults(Images(self.image_controller, self.image_generate, self.image_train), self.pods)


def variable(field: str) -> str:
    """The environment variable of a setting."""
    return PREFIX + field.upper()


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Settings from the process's environment."""
    given = {name: value for name, value in environment.items() if name.startswith(PREFIX)}
    try:
        return Settings.model_validate({name.removeprefix(PREFIX).lower(): value for name, value in given.items()})
    except ValidationError as error:
        problems = [f"{_named(*map(str, problem['loc']))}: {problem['msg']}" for problem in error.errors()]
        raise SettingsError("; ".join(problems)) from error


def _named(field: str, *within: str) -> str:
    return ".".join([variable(field), *within])
