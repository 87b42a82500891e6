"""How an HTTP task connects: its property ``options`` (Kestra's documentation of ``core.http.Request``)."""

from collections.abc import Mapping
from datetime import timedelta
from types import MappingProxyType
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from tidewaiter.config.fields import PositiveDuration, Text
from tidewaiter.config.spec import Dynamic, Spec, misfit

MAX_BODY = 10 * 1024**2
LARGEST_BODY = 100 * 1024**2
"""Bytes of a response that becomes an output, unless ``maxContentLength`` says otherwise, and at most."""

_NOT_LOGGED = "requests and responses are not logged: they hold credentials"


class Timeouts(Spec):
    """How long to wait: for a connection, and for the next piece of a response."""

    connect_timeout: Dynamic[PositiveDuration | None] = None
    """How long connecting may take."""
    read_idle_timeout: Dynamic[PositiveDuration] = timedelta(minutes=5)
    """How long the next piece of the response may take."""


class Proxy(Spec):
    """The HTTP proxy that requests go through."""

    type: Dynamic[Literal["DIRECT", "HTTP"]] = "DIRECT"
    """Whether there is one."""
    address: Dynamic[Text | None] = None
    """Its host."""
    port: Dynamic[Annotated[int, Field(ge=1, le=65535)] | None] = None
    """Its port."""
    username: Dynamic[Text | None] = None
    """The user's name."""
    password: Dynamic[Text | None] = None
    """The user's password."""


class Auth(Spec):
    """Who is asking: ``BASIC`` with *username* and *password*, or ``BEARER`` with *token*."""

    type: Literal["BASIC", "BEARER"]
    """How the one who asks is known."""
    username: Dynamic[Text | None] = None
    """The user's name, for ``BASIC``."""
    password: Dynamic[Text | None] = None
    """The user's password, for ``BASIC``."""
    token: Dynamic[Text | None] = None
    """The token, for ``BEARER``."""

    @model_validator(mode="after")
    def _complete(self) -> Self:
        needed = "username" if self.type == "BASIC" else "token"
        if getattr(self, needed) is None:
            raise misfit("type", f"{self.type} needs '{needed}'", f"add {needed}")
        return self


class Ssl(Spec):
    """Whose certificates are trusted."""

    insecure_trust_all_certificates: Dynamic[bool | None] = None
    """Trust whoever answers."""


class HttpOptions(Spec):
    """
    How to connect, and which responses are failures: codes from 400 on unless *allow_failed*, or every code that is not
    one of *allowed_response_codes* where there are any.

    The old ``connectTimeout``, ``readTimeout``, ``basicAuth…`` and ``proxy…`` mean what *timeout*, *auth* and *proxy*
    say. *max_content_length* bounds, in bytes, a response that becomes an output.
    """

    IGNORED: ClassVar[Mapping[str, str]] = MappingProxyType(
        {
            "readIdleTimeout": "readTimeout says how long to wait for more of a response",
            "connectionPoolIdleTimeout": "connections are not kept",
            "logs": _NOT_LOGGED,
            "logLevel": _NOT_LOGGED,
        }
    )

    timeout: Timeouts | None = None
    """How long to wait."""
    proxy: Proxy | None = None
    """The proxy that requests go through."""
    auth: Auth | None = None
    """Who is asking."""
    ssl: Ssl | None = None
    """Whose certificates are trusted."""
    follow_redirects: Dynamic[bool] = True
    """Go where a response leads."""
    allow_failed: Dynamic[bool] = False
    """Take a response with a code from 400 on for a success."""
    allowed_response_codes: Dynamic[tuple[int, ...]] = ()
    """The codes of a success; every other one is a failure."""
    default_charset: Dynamic[Text] = "UTF-8"
    """The encoding of a response that tells none."""

    connect_timeout: Dynamic[PositiveDuration | None] = None
    """The older place of ``timeout.connectTimeout``."""
    read_timeout: Dynamic[PositiveDuration | None] = None
    """The older place of ``timeout.readIdleTimeout``."""
    max_content_length: Dynamic[Annotated[int, Field(ge=1, le=LARGEST_BODY)]] = MAX_BODY
    """How many bytes a response may have that becomes an output."""
    proxy_type: Dynamic[Literal["DIRECT", "HTTP"]] = "HTTP"
    """The older place of ``proxy.type``."""
    proxy_address: Dynamic[Text | None] = None
    """The older place of ``proxy.address``."""
    proxy_port: Dynamic[Annotated[int, Field(ge=1, le=65535)] | None] = None
    """The older place of ``proxy.port``."""
    proxy_username: Dynamic[Text | None] = None
    """The older place of ``proxy.username``."""
    proxy_password: Dynamic[Text | None] = None
    """The older place of ``proxy.password``."""
    basic_auth_user: Dynamic[Text | None] = None
    """The older place of ``auth.username``."""
    basic_auth_password: Dynamic[Text | None] = None
    """The older place of ``auth.password``."""

    @property
    def wait(self) -> Timeouts:
        """How long to wait, whichever way it was written; only for a spec without templates."""
        if self.timeout is not None:
            return self.timeout
        given = {"connect_timeout": self.connect_timeout, "read_idle_timeout": self.read_timeout}
        return Timeouts(**{name: value for name, value in given.items() if value is not None})

    @property
    def credentials(self) -> Auth | None:
        """Who is asking, whichever way it was written; only for a spec without templates."""
        if self.auth is not None or self.basic_auth_user is None:
            return self.auth
        return Auth(type="BASIC", username=self.basic_auth_user, password=self.basic_auth_password)

    @property
    def through(self) -> Proxy | None:
        """The proxy, whichever way it was written, None without; only for a spec without templates."""
        proxy = self.proxy or Proxy(
            type=self.proxy_type,
            address=self.proxy_address,
            port=self.proxy_port,
            username=self.proxy_username,
            password=self.proxy_password,
        )
        return proxy if proxy.address else None

    def accepts(self, code: int) -> bool:
        """Tell whether a response with *code* is no failure."""
        if self.allowed_response_codes:
            return code in self.allowed_response_codes
        return self.allow_failed or code < 400
