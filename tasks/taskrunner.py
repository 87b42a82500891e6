"""Where a script task wants to run: the property ``taskRunner`` and its older forms ``runner`` and ``docker``."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Discriminator, Tag
from pydantic_core import PydanticCustomError

from tidewaiter.config.fields import Text
from tidewaiter.config.spec import Dynamic, Spec
from tidewaiter.config.typenames import short_name

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
    """The registry's address."""
    username: Dynamic[Text | None] = None
    """The user's name."""
    password: Dynamic[Text | None] = None
    """The user's password."""
    registry_token: Dynamic[Text | None] = None
    """A token of the registry."""
    identity_token: Dynamic[Text | None] = None
    """A token to get one of the registry."""
    auth: Dynamic[Text | None] = None
    """User and password, encoded as Docker keeps them."""


class Cpu(Spec):
    """The processors a container may use."""

    cpus: Dynamic[float | None] = None
    """How many, parts of one included."""


class Memory(Spec):
    """The memory a container may use; sizes as ``512MB``."""

    memory: Dynamic[Text | None] = None
    """The most memory."""
    memory_swap: Dynamic[Text | None] = None
    """The most memory and swap together."""
    memory_swappiness: Dynamic[Text | None] = None
    """How readily memory is swapped out, from 0 to 100."""
    memory_reservation: Dynamic[Text | None] = None
    """What it is held to when memory is scarce."""
    kernel_memory: Dynamic[Text | None] = None
    """The most memory of the kernel's."""
    oom_kill_disable: Dynamic[bool | None] = None
    """Do not end it when memory runs out."""


class DeviceRequest(Spec):
    """A device, such as a GPU, that a container is given."""

    driver: Dynamic[Text | None] = None
    """The device's driver."""
    count: Dynamic[int | None] = None
    """How many; -1 for all."""
    device_ids: Dynamic[tuple[Text, ...]] = ()
    """Which ones."""
    capabilities: Dynamic[tuple[tuple[Text, ...], ...]] = ()
    """What they must be able to do."""
    options: Dynamic[dict[str, Text] | None] = None
    """Options for the driver."""


class DockerOptions(Spec):
    """How a container is set up: what the old property ``docker`` says (kestra.md §1.10, "Docker runner")."""

    image: Dynamic[Text | None] = None
    """The image."""
    host: Dynamic[Text | None] = None
    """The address of the container engine."""
    docker_host: Dynamic[Text | None] = None
    """The older name of *host*."""
    config: Dynamic[Any] = None
    """Docker's configuration, as JSON or a map."""
    docker_config: Dynamic[Any] = None
    """The older name of *config*."""
    credentials: Credentials | None = None
    """How to log in to the registry."""
    user: Dynamic[Text | None] = None
    """The user in the container."""
    entry_point: Dynamic[tuple[Text, ...] | None] = None
    """What is run in the container before the commands."""
    extra_hosts: Dynamic[tuple[Text, ...]] = ()
    """Further names of hosts, as ``name:address``."""
    network_mode: Dynamic[Text | None] = None
    """The network it is in."""
    port_bindings: Dynamic[tuple[Text, ...]] = ()
    """Ports of this machine that lead to it."""
    volumes: Dynamic[tuple[Text, ...]] = ()
    """Folders of this machine that it sees."""
    pull_policy: Dynamic[Literal["ALWAYS", "IF_NOT_PRESENT", "NEVER"]] = "ALWAYS"
    """When the image is fetched."""
    pull_image: Dynamic[bool | None] = None
    """The older form of *pullPolicy*."""
    device_requests: tuple[DeviceRequest, ...] = ()
    """Devices it is given."""
    cpu: Cpu | None = None
    """The processors it may use."""
    memory: Memory | None = None
    """The memory it may use."""
    shm_size: Dynamic[Text | None] = None
    """The size of its shared memory."""
    privileged: Dynamic[bool] = False
    """Give it all rights on this machine."""


class Docker(DockerOptions):
    """Run in a container."""

    NAMES: ClassVar[tuple[str, ...]] = _DOCKER

    type: str
    """The name of this type of runner."""
    file_handling_strategy: Dynamic[Literal["VOLUME", "MOUNT"]] = "VOLUME"
    """Copy the working directory in and out, or mount it."""
    delete: Dynamic[bool] = True
    """Remove the container afterwards."""
    wait: Dynamic[bool] = True
    """Wait for its end."""


class Process(Spec):
    """Run as a process of this machine."""

    NAMES: ClassVar[tuple[str, ...]] = _PROCESS

    type: str
    """The name of this type of runner."""


def _kind(value: Any) -> str | None:
    if isinstance(value, Spec):
        return type(value).__name__
    written = value.get("type") if isinstance(value, dict) else None
    for kind in (Process, Docker):
        if written in (*kind.NAMES, *map(short_name, kind.NAMES)):
            return kind.__name__
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
