"""Where a script task wants to run: the property ``taskRunner`` and its older forms ``runner`` and ``docker``."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Tag
from pydantic_core import PydanticCustomError

from tidewaiter.config.fields import Text
from tidewaiter.config.spec import Dynamic, Spec, short_name

_PROCESS = (
    "io.kestra.plugin.core.runner.Process",
    "io.kestra.core.models.tasks.runners.types.ProcessTaskRunner",
    "io.kestra.core.runners.ProcessTaskRunner",
)
_DOCKER = (
    "io.kestra.plugin.scripts.runner.docker.Docker",
    "io.kestra.plugin.scripts.runner.docker.DockerTaskRunner",
)


class Credentials(Spec):
    """How to log in to a private image registry."""

    registry: Dynamic[Text | None] = None
    username: Dynamic[Text | None] = None
    password: Dynamic[Text | None] = None
    registry_token: Dynamic[Text | None] = None
    identity_token: Dynamic[Text | None] = None
    auth: Dynamic[Text | None] = None


class Cpu(Spec):
    """The processors a container may use."""

    cpus: Dynamic[float | None] = None


class Memory(Spec):
    """The memory a container may use; sizes as ``512MB``."""

    memory: Dynamic[Text | None] = None
    memory_swap: Dynamic[Text | None] = None
    memory_swappiness: Dynamic[Text | None] = None
    memory_reservation: Dynamic[Text | None] = None
    kernel_memory: Dynamic[Text | None] = None
    oom_kill_disable: Dynamic[bool | None] = None


class DeviceRequest(Spec):
    """A device, such as a GPU, that a container is given."""

    driver: Dynamic[Text | None] = None
    count: Dynamic[int | None] = None
    device_ids: Dynamic[tuple[Text, ...]] = ()
    capabilities: Dynamic[tuple[tuple[Text, ...], ...]] = ()
    options: Dynamic[dict[str, Text] | None] = None


class DockerOptions(Spec):
    """How a container is set up: what the old property ``docker`` says (kestra.md §1.10, "Docker runner")."""

    image: Dynamic[Text | None] = None
    host: Dynamic[Text | None] = None
    docker_host: Dynamic[Text | None] = None
    config: Dynamic[Any] = None
    docker_config: Dynamic[Any] = None
    credentials: Credentials | None = None
    user: Dynamic[Text | None] = None
    entry_point: Dynamic[tuple[Text, ...] | None] = None
    extra_hosts: Dynamic[tuple[Text, ...]] = ()
    network_mode: Dynamic[Text | None] = None
    port_bindings: Dynamic[tuple[Text, ...]] = ()
    volumes: Dynamic[tuple[Text, ...]] = ()
    pull_policy: Dynamic[Literal["ALWAYS", "IF_NOT_PRESENT", "NEVER"]] = "ALWAYS"
    pull_image: Dynamic[bool | None] = None
    device_requests: tuple[DeviceRequest, ...] = ()
    cpu: Cpu | None = None
    memory: Memory | None = None
    shm_size: Dynamic[Text | None] = None
    privileged: Dynamic[bool] = False


class Docker(DockerOptions):
    """Run in a container."""

    type: str
    file_handling_strategy: Dynamic[Literal["VOLUME", "MOUNT"]] = "VOLUME"
    delete: Dynamic[bool] = True
    wait: Dynamic[bool] = True


class Process(Spec):
    """Run as a process of this machine."""

    type: str


def _kind(value: Any) -> str | None:
    if isinstance(value, Spec):
        return type(value).__name__
    written = value.get("type") if isinstance(value, dict) else None
    for kind, names in (("Process", _PROCESS), ("Docker", _DOCKER)):
        if written in (*names, *map(short_name, names)):
            return kind
    return None


def _known(value: Any) -> Any:
    """Refuse a runner of another type by its name."""
    if _kind(value) is None and isinstance(value, dict):
        written = value.get("type", "")
        raise PydanticCustomError(
            "not_yet",
            "property 'taskRunner': type '{type}' is not supported here, only {process} and {docker}",
            {"type": str(written)[:200], "process": _PROCESS[0], "docker": _DOCKER[0]},
        )
    return value


TaskRunner = Annotated[
    Annotated[Docker, Tag("Docker")] | Annotated[Process, Tag("Process")],
    Discriminator(
        _kind, custom_error_type="not_yet", custom_error_message="property 'taskRunner': should be a map of properties"
    ),
    BeforeValidator(_known),
]
"""The property ``taskRunner``."""
