"""The operator's settings: one YAML file, ``TIDEWAITER_*`` variables over it, flags over both (design.md §5)."""

import pathlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from tidewaiter.config.document import Document, Path
from tidewaiter.config.errors import ConfigError, Problem
from tidewaiter.config.fields import Duration, PositiveDuration, Size, Text
from tidewaiter.config.load import validate
from tidewaiter.config.spec import Spec

PREFIX = "TIDEWAITER_"

# Set for the programs of tasks, which may well call tidewaiter.
_NOT_SETTINGS = frozenset({"TIDEWAITER_TASK_RUN_ID"})


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
    config_file: pathlib.Path | None = None


class Secrets(Section):
    """Where ``secret('NAME')`` looks besides ``SECRET_<NAME>``: a folder with one file per secret, named like it."""

    directory: pathlib.Path | None = None


class Limits(Section):
    """
    How much happens at once.

    *executions*: running executions; *transfers*: objects in transfer per trigger; *log_lines*: kept per task run;
    *webhooks*: requests to webhooks that have not been answered; *webhook_body*: of one of them.
    """

    executions: Annotated[int, Field(ge=1, le=1000)] = 16
    transfers: Annotated[int, Field(ge=1, le=256)] = 16
    log_lines: Annotated[int, Field(ge=100)] = 100_000
    webhooks: Annotated[int, Field(ge=1, le=1000)] = 64
    webhook_body: Size = 1 << 20


class Retry(Section):
    """
    How long to wait after an error: from *initial* doubling to *maximum*.

    An object is tried *attempts* times, then it is parked, and taken up again after *parked*. An action that has been
    failing for *action_timeout* lets the execution go first. An execution that was running when the daemon crashed
    *crashes* times is not tried once more: it may be what crashes it. A store that sends nothing for *read_timeout*
    counts as unreachable.
    """

    initial: PositiveDuration = timedelta(seconds=1)
    maximum: PositiveDuration = timedelta(minutes=5)
    attempts: Annotated[int, Field(ge=1)] = 10
    parked: PositiveDuration = timedelta(hours=1)
    action_timeout: PositiveDuration = timedelta(minutes=1)
    crashes: Annotated[int, Field(ge=1)] = 10
    read_timeout: PositiveDuration = timedelta(minutes=1)

    def delay(self, failures: int) -> timedelta:
        """How long to wait after that many failures before this one."""
        return min(self.initial * (1 << min(failures, 20)), max(self.maximum, self.initial))


class Retention(Section):
    """
    How long executions are kept after their end, with their log, their files and the bytes they worked on; null keeps
    them for ever. *succeeded*: SUCCESS and WARNING; *failed*: FAILED, KILLED and CANCELLED, which somebody may
    want to replay.
    """

    succeeded: PositiveDuration | None = timedelta(days=30)
    failed: PositiveDuration | None = None


class Settings(Section):
    """
    Everything an operator can set.

    *state_dir* holds the journal, internal storage and working directories; *flows* are folders (or files) of flows;
    *grace_period* is how long a clean stop waits for running executions. *globals* is what ``globals`` shows in
    expressions. With *recursive_rendering*, expressions in variables are rendered where they are used, as Kestra did
    before 0.14; data never is.
    """

    state_dir: pathlib.Path = pathlib.Path("tidewaiter-state")
    flows: tuple[pathlib.Path, ...] = ()
    namespace_files: pathlib.Path | None = None
    globals: dict[str, Any] = Field(default_factory=dict)
    recursive_rendering: bool = False
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
    retention: Retention = Field(default_factory=Retention)


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
    names: dict[Path, str] = {_setting(variable): variable for variable in environment if variable.startswith(PREFIX)}
    names.update({(name,): f"--{name.replace('_', '-')}" for name in given})
    return validate(_Given("settings", merged, {}, {}, origins=names), Settings)


@dataclass(frozen=True, slots=True)
class _Given(Document):
    """Settings from several places; a problem is said of the variable or flag it came from."""

    origins: Mapping[Path, str] = field(default_factory=dict)

    def problem(self, path: Path, message: str, hint: str | None = None, *, at_key: bool = False) -> Problem:
        """Make a problem that names the variable or flag behind *path*; there is no place in it to point at."""
        del at_key
        while path and path not in self.origins:
            path = path[:-1]
        return Problem(self.origins.get(path, self.file), 0, 0, message, hint)


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
        if variable.startswith(PREFIX) and variable not in _NOT_SETTINGS:
            _place(settings, variable, value)
    return settings


def _setting(variable: str) -> tuple[str, ...]:
    """Give where *variable* belongs: its section's name, if any, and its own; below a map the case is kept."""
    section, *names = variable.removeprefix(PREFIX).split("__")
    if len(names) < 2:
        return tuple(name.lower() for name in (section, *names))
    return (section.lower(), names[0].lower(), "__".join(names[1:]))


def _place(settings: dict[str, Any], variable: str, value: str) -> None:
    model: Any = Settings
    *above, last = path = _setting(variable)
    for name in path:
        known = model.model_fields.get(name) if _is_section(model) else None
        if known is None and "dict" not in str(model):
            raise ConfigError([Problem(variable, 0, 0, "unknown setting", "see 'tidewaiter schema --settings'")])
        model = known.annotation if known else str
    if _is_section(model):
        example = f"{variable}__{next(iter(model.model_fields)).upper()}"
        raise ConfigError([Problem(variable, 0, 0, "names a group of settings", f"set one of them, as {example}")])
    for name in above:
        settings = settings.setdefault(name, {})
    listed = [part.strip() for part in value.split(",") if part.strip()]
    settings[last] = listed if "tuple" in str(model) else value


def _is_section(model: Any) -> bool:
    return isinstance(model, type) and issubclass(model, Section)
