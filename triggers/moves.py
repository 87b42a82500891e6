"""Where a flow has objects put, by its action or by the outcome of an execution, and how the copies are to be."""

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from tidewaiter.config.fields import Optional
from tidewaiter.config.spec import Dynamic, ObjectTemplate, PerObject, Spec
from tidewaiter.triggers import tags
from tidewaiter.triggers.bucket import Encryption, ObjectProperties

_METADATA_NAME = re.compile(r"[A-Za-z0-9!#$&*+.^_|~-]+")
_METADATA_VALUE = re.compile(r"[\x20-\x7e]*")
_METADATA_BYTES = 2048


def _tags(value: dict[str, str]) -> dict[str, str]:
    if reason := tags.problem(value):
        raise PydanticCustomError("tags", "{reason}", {"reason": reason})
    return value


def _metadata(value: dict[str, str]) -> dict[str, str]:
    for name, text in value.items():
        if not (_METADATA_NAME.fullmatch(name) and _METADATA_VALUE.fullmatch(text)):
            raise PydanticCustomError("metadata", "{name} cannot be sent as a header: use plain ASCII", {"name": name})
    if sum(len(name) + len(text) for name, text in value.items()) > _METADATA_BYTES:
        raise PydanticCustomError("metadata", "S3 takes at most 2 kB of metadata")
    return value


Tags = Annotated[dict[str, str], AfterValidator(_tags)]
Metadata = Annotated[dict[str, str], AfterValidator(_metadata)]
StorageClass = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]


class MoveTo(Spec):
    """
    Where ``action: MOVE`` puts objects. *key* is a folder, with or without a slash at its end; *bucket* defaults to the
    watched one. *name* is the object's new name. Key and name may look at ``object`` and then differ for each.

    *server_side_encryption* ``AWS_KMS`` takes the key *kms_key_id*, or the account's own without it. Tidewaiter's own:
    *storage_class* of the archived copy, and *tags* and *metadata* that it gets beside those of the object.
    """

    bucket: Dynamic[Optional] = None
    """The bucket; the watched one without it."""
    key: PerObject[str | None] = None
    """The folder, with or without a slash at its end."""
    name: PerObject[Optional] = None
    """The name there; the object's own without it."""
    server_side_encryption: Dynamic[Literal["AES256", "AWS_KMS", "NONE"] | None] = None
    """How the store encrypts the copy."""
    kms_key_id: Dynamic[Optional] = None
    """The key for ``AWS_KMS``; the account's own without it."""
    storage_class: Dynamic[StorageClass | None] = None
    """The storage class of the copy."""
    tags: Dynamic[Tags | None] = None
    """Tags that the copy gets beside those of the object."""
    metadata: Dynamic[Metadata | None] = None
    """Metadata that the copy gets beside that of the object."""

    @property
    def properties(self) -> ObjectProperties:
        """How the archived copy is to differ from the object; only for a spec without templates."""
        return ObjectProperties(self.encryption, self.storage_class, self.tags or {}, self.metadata or {})

    @property
    def encryption(self) -> Encryption | None:
        """The encryption to ask for, None to leave it to the bucket."""
        if self.server_side_encryption == "AWS_KMS":
            return Encryption("aws:kms", self.kms_key_id)
        return Encryption("AES256") if self.server_side_encryption == "AES256" else None

    @property
    def folder(self) -> str:
        """
        The part of the new key before the object's name, with its slash; empty for the top of the bucket. Of a key that
        differs for each object, the folder they all have in common.
        """
        if isinstance(self.key, ObjectTemplate):
            fixed = self.key.source.partition("{")[0]
            return fixed[: fixed.rfind("/") + 1]
        return as_folder(self.key or "")


def as_folder(key: str) -> str:
    """Give *key* with one slash at its end; nothing for the top of the bucket."""
    trimmed = key.rstrip("/")
    return f"{trimmed}/" if trimmed else ""


class Outcome(Spec):
    """
    What becomes of the objects of an execution that has ended: ``MOVE`` to *move_to*, or ``DELETE``.

    They are taken from where the trigger's action left them; what the action deleted is stored anew from our own copy.
    """

    action: Literal["MOVE", "DELETE"] = "MOVE"
    """Move them, or delete them."""
    move_to: MoveTo | None = None
    """Where to."""

    @model_validator(mode="after")
    def _has_destination(self) -> Self:
        if self.action == "MOVE" and (self.move_to is None or self.move_to.key is None):
            raise PydanticCustomError("outcome", "action MOVE needs a destination: add 'moveTo: {key: done/}'")
        return self
