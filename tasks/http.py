"""The HTTP tasks: Request gives a response as output, Download keeps it as a file."""

import importlib
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar

from tidewaiter.config.fields import Text
from tidewaiter.config.flow import TaskSpec
from tidewaiter.config.spec import Dynamic
from tidewaiter.tasks.context import Result, TaskContext
from tidewaiter.tasks.httpoptions import HttpOptions, Ssl


class HttpSpec(TaskSpec):
    """
    What both tasks have in common.

    *params* are added to the query of *uri*. *form_data* is sent URL-encoded, or in parts where *content_type* is
    ``multipart/form-data``; a part whose value is the URI of a stored file, or a map of ``name`` and ``content``, is
    that file. Without it *body* is sent. *allow_failed* and *ssl_options* are old forms of those in *options*.
    """

    uri: Dynamic[Text]
    """The address."""
    method: Dynamic[Text] = "GET"
    """The method of the request."""
    params: Dynamic[dict[str, Any] | None] = None
    """What is added to the query of the address."""
    body: Dynamic[Any] = None
    """What is sent; a map or list as JSON."""
    form_data: Dynamic[dict[str, Any] | None] = None
    """The fields of a form to send, the URI of a stored file for a file."""
    content_type: Dynamic[Text | None] = "application/json"
    """The type of what is sent."""
    headers: Dynamic[dict[str, Text] | None] = None
    """The headers of the request."""
    options: HttpOptions = HttpOptions()
    """How to connect, and which responses are failures."""
    allow_failed: Dynamic[bool | None] = None
    """The older place of ``options.allowFailed``."""
    ssl_options: Ssl | None = None
    """The older place of ``options.ssl``."""

    @property
    def connecting(self) -> HttpOptions:
        """The options with the old forms in them; only for a spec without templates."""
        given = {"allow_failed": self.allow_failed, "ssl": self.ssl_options}
        return self.options.model_copy(update={name: value for name, value in given.items() if value is not None})


class Request(HttpSpec):
    """Send a request and give its response as outputs (Kestra's documentation of ``core.http.Request``)."""

    NAMES: ClassVar[tuple[str, ...]] = ("io.kestra.plugin.core.http.Request", "io.kestra.plugin.fs.http.Request")
    IGNORED: ClassVar[Mapping[str, str]] = MappingProxyType(
        {**HttpSpec.IGNORED, "encryptBody": "outputs are kept in the journal, which only the daemon's user can read"}
    )


class Download(HttpSpec):
    """Keep a response as a file in internal storage (Kestra's documentation of ``core.http.Download``)."""

    NAMES: ClassVar[tuple[str, ...]] = ("io.kestra.plugin.core.http.Download", "io.kestra.plugin.fs.http.Download")

    fail_on_empty_response: Dynamic[bool] = True
    """Fail if nothing comes."""


async def run_request(spec: Request, context: TaskContext) -> Result:
    """
    Do a `Request` task: outputs ``uri``, ``code``, ``headers`` (each with its values) and ``body``.

    Raises:
        TaskError: the server cannot be asked, or its response is no text or too long for an output.
    """
    result: Result = await _work().request(spec, context)
    return result


async def run_download(spec: Download, context: TaskContext) -> Result:
    """
    Do a `Download` task: outputs ``uri`` of the file, ``code``, ``length``, ``headers`` and ``fileName``.

    Raises:
        TaskError: the server cannot be asked, or there is nothing in its response and that is not accepted.
        StorageError: the disk is full.
    """
    result: Result = await _work().download(spec, context)
    return result


def _work() -> Any:
    """Load the HTTP client for a task that needs it: here it would cost every command 0.1 s at its start."""
    return importlib.import_module("tidewaiter.tasks.httpwork")
