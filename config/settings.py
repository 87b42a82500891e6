"""The operator's settings: one YAML file, ``TIDEWAITER_*`` variables over it, flags over both (design.md §5)."""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from tidewaiter.config.document import Document
from tidewaiter.config.errors import ConfigError, Problem
from tidewaiter.config.fields import Duration, PositiveDuration, Text
from tidewaiter.config.load import validate
from tidewaiter.config.spec import Spec

PREFIX = "TIDEWAITER_"


def _snake(name: str) -> str:
    return name


class Section(Spec):
    """A part of the settings; names are written in snake_case, in the file as in the environment."""

    model_config = ConfigDict(alias_generator=_snake)


class Runners(Section):
    """How programs of script tasks run. *docker*: what to do with a task that asks for a container."""

    docker: Literal["refuse", "process"] = "refuse"
    environment: dict[str, Text] = Field(default_factory=dict)
    kill_grace: Duration = timedelta(seconds=5)


class Git(Section):
    """What git may do. *config_file* is the only git configuration read, for example for ``insteadOf``."""

    allowed_protocols: tuple[str, ...] = ("https", "ssh")
    config_file: Path | None = None


class Secrets(Section):
    """Where ``secret('NAME')`` looks besides ``SECRET_<NAME>``: a folder with one file per secret, named like it."""

    directory: Path | None = None


class Limits(Section):
    """
    How much happens at once.

    *executions*: running executions; *transfers*: objects in transfer per trigger; *log_lines*: kept per task run;
    *output_bytes*: size of one captured file; *file_bytes*: of one object, 0 for no limit.
    """

    executions: Annotated[int, Field(ge=1, le=1000)] = 16
    transfers: Annotated[int, Field(ge=1, le=256)] = 16
    log_lines: Annotated[int, Field(ge=100)] = 100_000


class Retry(Section):
    """
    How long a trigger waits after an error: from *initial* doubling to *maximum*; *attempts* per object, then it is
    parked.
    """

    initial: PositiveDuration = timedelta(seconds=1)
    maximum: PositiveDuration = timedelta(minutes=5)
    attempts: Annotated[int, Field(ge=1)] = 10
    action_timeout: PositiveDuration = timedelta(minutes=1)


class Settings(Section):
    """
    Everything an operator can set.

    *state_dir* holds the journal, internal storage and working directories; *flows* are folders (or files) of flows;
    *grace_period* is how long a clean stop waits for running executions.
    """

    state_dir: Path = Path("tidewaiter-state")
    flows: tuple[Path, ...] = ()
    namespace_files: Path | None = None
    listen: str | None = None
    log_format: Literal["json", "console"] | None = None
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    grace_period: Duration = timedelta(seconds=30)
    reload_interval: PositiveDuration = timedelta(seconds=1)
    scratch_prefix: str = ".tidewaiter/"
    runners: Runners = Field(default_factory=Runners)
    git: Git = Field(default_factory=Git)
    secrets: Secrets = Field(default_factory=Secrets)
    limits: Limits = Field(default_factory=Limits)
    retry: Retry = Field(default_factory=Retry)


def load_settings(document: Document | None, environment: Mapping[str, str], flags: Mapping[str, Any]) -> Settings:
    """
    Combine the settings file, the environment and command-line *flags* (None means not given), the later winning.

    Raises:
        ConfigError: an unknown setting or a value that does not fit; environment variables are named as such.
    """
    from_file = document.data if document is not None and document.data is not None else {}
    if document is not None and document.data is not None:
        validate(document, Settings)
    given = {name: value for name, value in flags.items() if value is not None}
    merged = _merge(_merge(from_file, _from_environment(environment)), given)
    origin = Document("settings (environment and flags)", merged, {(): (0, 0)}, {})
    return validate(origin, Settings)


def _merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for name, value in above.items():
        under = merged.get(name)
        merged[name] = _merge(under, value) if isinstance(under, Mapping) and isinstance(value, Mapping) else value
    return merged


def _from_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    """
    Turn ``TIDEWAITER_RUNNERS__DOCKER=process`` into nested settings; lists are separated by commas, as PATH-like
    variables are.
    """
    settings: dict[str, Any] = {}
    for variable, value in environment.items():
        if variable.startswith(PREFIX):
            _place(settings, variable, variable.removeprefix(PREFIX).lower().split("__"), value)
    return settings


def _place(settings: dict[str, Any], variable: str, path: list[str], value: str) -> None:
    model: Any = Settings
    for name in path:
        field = model.model_fields.get(name) if isinstance(model, type) and issubclass(model, Section) else None
        if field is None and model is not None and not _is_map(model):
            raise ConfigError([Problem(variable, 0, 0, "unknown setting", "see 'tidewaiter schema --settings'")])
        model = field.annotation if field else None
    for name in path[:-1]:
        settings = settings.setdefault(name, {})
    settings[path[-1]] = value.split(",") if "tuple" in str(model) else value


def _is_map(annotation: Any) -> bool:
    return "dict" in str(annotation)
