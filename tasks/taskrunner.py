"""Where a script task wants to run: the property ``taskRunner`` and its older forms ``runner`` and ``docker``."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Discriminator, Tag

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

    NAMES: ClassVar[tuple[str, ...]] = _DOCKER

    type: str
    file_handling_strategy: Dynamic[Literal["VOLUME", "MOUNT"]] = "VOLUME"
    delete: Dynamic[bool] = True
    wait: Dynamic[bool] = True


class Process(Spec):
    """Run as a process of this machine."""

    NAMES: ClassVar[tuple[str, ...]] = _PROCESS

    type: str


def _kind(value: Any) -> str | None:
    if isinstance(value, Spec):
        return type(value).__name__
    written = value.get("type") if isinstance(value, dict) else None
    for kind in (Process, Docker):
        if written in (*kind.NAMES, *map(short_name, kind.NAMES)):
            return kind.__name__
    return None


TaskRunner = Annotated[
    Annotated[Docker, Tag("Docker")] | Annotated[Process, Tag("Process")],
    Discriminator(
        _kind,
        custom_error_type="not_yet",
        custom_error_message=f"property 'taskRunner': no type is supported here but {_PROCESS[0]} and {_DOCKER[0]}",
    ),
]
"""The property ``taskRunner``."""
