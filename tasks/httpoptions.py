"""How an HTTP task connects: its property ``options`` (Kestra's documentation of ``core.http.Request``)."""

from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from tidewaiter.config.fields import Duration, PositiveDuration, Text
from tidewaiter.config.spec import Dynamic, Spec, misfit

MAX_BODY = 10 * 1024**2
LARGEST_BODY = 100 * 1024**2
"""Bytes of a response that becomes an output, unless ``maxContentLength`` says otherwise, and at most."""


class Timeouts(Spec):
    """How long to wait: for a connection, and for the next piece of a response."""

    connect_timeout: Dynamic[PositiveDuration | None] = None
    read_idle_timeout: Dynamic[PositiveDuration] = timedelta(minutes=5)


class Proxy(Spec):
    """The HTTP proxy that requests go through."""

    type: Dynamic[Literal["DIRECT", "HTTP"]] = "DIRECT"
    address: Dynamic[Text | None] = None
    port: Dynamic[Annotated[int, Field(ge=1, le=65535)] | None] = None
    username: Dynamic[Text | None] = None
    password: Dynamic[Text | None] = None


class Auth(Spec):
    """Who is asking: ``BASIC`` with *username* and *password*, or ``BEARER`` with *token*."""

    type: Literal["BASIC", "BEARER"]
    username: Dynamic[Text | None] = None
    password: Dynamic[Text | None] = None
    token: Dynamic[Text | None] = None

    @model_validator(mode="after")
    def _complete(self) -> Self:
        needed = "username" if self.type == "BASIC" else "token"
        if getattr(self, needed) is None:
            raise misfit("type", f"{self.type} needs '{needed}'", f"add {needed}")
        return self


class Ssl(Spec):
    """Whose certificates are trusted."""

    insecure_trust_all_certificates: Dynamic[bool | None] = None


class HttpOptions(Spec):
    """
    How to connect, and which responses are failures: codes from 400 on unless *allow_failed*, or every code that is not
    one of *allowed_response_codes* where there are any.

    The old ``connectTimeout``, ``readTimeout``, ``basicAuth…`` and ``proxy…`` mean what *timeout*, *auth* and *proxy*
    say. *max_content_length* bounds, in bytes, a response that becomes an output. Connections are not kept and nothing
    is logged of headers and bodies, so *connection_pool_idle_timeout*, *read_idle_timeout*, *logs* and *log_level* have
    no effect.
    """

    timeout: Timeouts | None = None
    proxy: Proxy | None = None
    auth: Auth | None = None
    ssl: Ssl | None = None
    follow_redirects: Dynamic[bool] = True
    allow_failed: Dynamic[bool] = False
    allowed_response_codes: Dynamic[tuple[int, ...]] = ()
    default_charset: Dynamic[Text] = "UTF-8"
    logs: tuple[str, ...] | None = None

    connect_timeout: Dynamic[PositiveDuration | None] = None
    read_timeout: Dynamic[PositiveDuration | None] = None
    read_idle_timeout: Dynamic[Duration | None] = None
    connection_pool_idle_timeout: Dynamic[Duration | None] = None
    max_content_length: Dynamic[Annotated[int, Field(ge=1, le=LARGEST_BODY)]] = MAX_BODY
    proxy_type: Dynamic[Literal["DIRECT", "HTTP"]] = "HTTP"
    proxy_address: Dynamic[Text | None] = None
    proxy_port: Dynamic[Annotated[int, Field(ge=1, le=65535)] | None] = None
    proxy_username: Dynamic[Text | None] = None
    proxy_password: Dynamic[Text | None] = None
    basic_auth_user: Dynamic[Text | None] = None
    basic_auth_password: Dynamic[Text | None] = None
    log_level: str | None = None

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
