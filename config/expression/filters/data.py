"""Filters that encode, decode and digest."""

import base64
import hashlib
import html
import urllib.parse
from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal
from types import MappingProxyType
from typing import Any

from tidewaiter.config.errors import ExpressionError
from tidewaiter.config.expression.filters.text import of_text
from tidewaiter.config.expression.printing import printed, to_ion, to_json
from tidewaiter.config.expression.values import is_number
from tidewaiter.config.expression.yaml_text import to_yaml

_MAX_URL = 1024 * 1024
_JAVA_CLASSES = (
    (bool, "java.lang.Boolean"),
    (str, "java.lang.String"),
    (float, "java.lang.Double"),
    (Decimal, "java.math.BigDecimal"),
    (Mapping, "java.util.LinkedHashMap"),
    (list | tuple, "java.util.ArrayList"),
    (date, "java.time.ZonedDateTime"),
)


def json(subject: Any) -> str:
    """Write *subject* as compact JSON."""
    return to_json(subject)


def string(subject: Any) -> str | None:
    """Give *subject* as the text a template prints."""
    return None if subject is None else printed(subject)


def escape(subject: Any, strategy: Any = "html") -> Any:
    """
    Replace the characters that mean something in HTML (``html``, ``html_attr``), a URL (``url_param``) or a JSON
    string (``json``). A number or null needs none.

    Raises:
        ExpressionError: there is no such *strategy*.
    """
    if subject is None or is_number(subject):
        return subject
    if not isinstance(strategy, str) or strategy not in _ESCAPES:
        raise ExpressionError(f"strategy must be one of {', '.join(_ESCAPES)}, got {strategy!r}")
    return _ESCAPES[strategy](printed(subject))


def raw(subject: Any) -> Any:
    """Give *subject* as it is; inside ``autoescape`` it is not escaped."""
    return subject


def class_name(subject: Any) -> str | None:
    """Name the Java class a value of this kind has in Kestra."""
    if subject is None:
        return None
    if isinstance(subject, int) and not isinstance(subject, bool):
        return _integer_class(subject)
    return next((name for type_, name in _JAVA_CLASSES if isinstance(subject, type_)), "java.lang.Object")


@of_text
def base64encode(subject: str) -> str:
    """Encode the UTF-8 bytes of *subject* as Base64."""
    return base64.b64encode(subject.encode(errors="replace")).decode()


@of_text
def base64decode(subject: str) -> str:
    """Decode Base64; bytes that are no UTF-8 are replaced."""
    try:
        return base64.b64decode(subject, validate=True).decode(errors="replace")
    except ValueError as error:
        raise ExpressionError(f"not Base64: {error}") from error


@of_text
def urlencode(subject: str) -> str:
    """Encode *subject* for a query string, a space as ``+``."""
    if len(subject) > _MAX_URL:
        raise ExpressionError("text is too long for a URL")
    return urllib.parse.quote_plus(subject, safe="*", errors="replace").replace("~", "%7E")


@of_text
def urldecode(subject: str) -> str:
    """Decode a part of a query string."""
    if len(subject) > _MAX_URL:
        raise ExpressionError("text is too long for a URL")
    return urllib.parse.unquote_plus(subject)


def _digest(algorithm: str) -> Callable[..., Any]:
    @of_text
    def digest(subject: str) -> str:
        """Give the digest of the UTF-8 bytes of *subject* in hexadecimal."""
        return hashlib.new(algorithm, subject.encode(errors="replace"), usedforsecurity=False).hexdigest()

    return digest


def _integer_class(value: int) -> str:
    bits = (value if value >= 0 else ~value).bit_length()
    if bits < 32:
        return "java.lang.Integer"
    return "java.lang.Long" if bits < 64 else "java.math.BigInteger"


def _html(text: str) -> str:
    return html.escape(text).replace("&#x27;", "&#39;")


_ESCAPES: Mapping[str, Callable[[str], str]] = MappingProxyType(
    {"html": _html, "html_attr": _html, "url_param": urlencode, "json": lambda text: to_json(text)[1:-1]}
)

FILTERS: Mapping[str, Callable[..., Any]] = MappingProxyType(
    {
        "json": json,
        "toJson": json,
        "jsonEncode": json,  # what toJson was called for a short time
        "toIon": to_ion,
        "yaml": to_yaml,
        "escape": escape,
        "raw": raw,
        "string": string,
        "className": class_name,
        "base64encode": base64encode,
        "base64decode": base64decode,
        "urlencode": urlencode,
        "urldecode": urldecode,
        **{algorithm: _digest(algorithm) for algorithm in ("md5", "sha1", "sha256", "sha512")},
    }
)
