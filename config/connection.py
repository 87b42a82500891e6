"""How a trigger or a task reaches an object store (kestra.md §1.1, §1.2)."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Annotated, Literal

from tidewaiter.config.fields import Optional, PositiveDuration
from tidewaiter.config.spec import Dynamic, NotYet, Spec


@dataclass(frozen=True, slots=True)
class Connection:
    """
    How to reach a store: the connection properties of a trigger or task, rendered (kestra.md §1.1).

    Without keys the standard AWS chain answers (environment, profile, container, instance). *region* and *endpoint_url*
    fall back to the standard AWS variables. *path_style* None means: path style when an endpoint is given, else virtual
    hosts.
    """

    region: str | None = None
    endpoint_url: str | None = None
    access_key_id: str | None = None
    secret_key_id: str | None = field(default=None, repr=False)
    session_token: str | None = field(default=None, repr=False)
    path_style: bool | None = None
    sts_role_arn: str | None = None
    sts_role_external_id: str | None = None
    sts_role_session_name: str | None = None
    sts_role_session_duration: timedelta = timedelta(minutes=15)
    sts_endpoint_url: str | None = None
    requester_pays: bool = False
    expected_bucket_owner: str | None = None
    ca_pem: str | None = None
    client_pem: str | None = field(default=None, repr=False)


class AwsConnection(Spec):
    """
    The connection properties of the ``aws.s3`` types.

    *compatibility_mode* has no effect: there is one client, without the limits of Kestra's two.
    """

    access_key_id: Dynamic[Optional] = None
    """The access key; that of the daemon's environment without it."""
    secret_key_id: Dynamic[Optional] = None
    """The secret key that belongs to it."""
    session_token: Dynamic[Optional] = None
    """The token that belongs to temporary keys."""
    region: Dynamic[Optional] = None
    """The region; that of the daemon's environment without it."""
    endpoint_override: Dynamic[Optional] = None
    """The address of a store other than AWS."""
    expected_bucket_owner: Dynamic[Optional] = None
    """The account that must own the bucket."""
    request_payer: Dynamic[Literal["requester"] | None] = None
    """Agree to pay for requests."""
    sts_role_arn: Dynamic[Optional] = None
    """A role to take on."""
    sts_role_external_id: Dynamic[Optional] = None
    """The external id that the role asks for."""
    sts_role_session_name: Dynamic[Optional] = None
    """The name of the session in that role."""
    sts_endpoint_override: Dynamic[Optional] = None
    """The address of the service that gives roles."""
    sts_role_session_duration: Dynamic[PositiveDuration] = timedelta(minutes=15)
    """How long a session in that role lasts."""
    compatibility_mode: Dynamic[bool] = False
    """Has no effect: there is one client, without the limits of Kestra's two."""
    force_path_style: Dynamic[bool] = False
    """Name the bucket in the path of the URL, not in its host."""

    def connection(self) -> Connection:
        """How to reach the store; only for a spec without templates."""
        return Connection(
            region=self.region,
            endpoint_url=self.endpoint_override,
            access_key_id=self.access_key_id,
            secret_key_id=self.secret_key_id,
            session_token=self.session_token,
            path_style=self.force_path_style or None,
            sts_role_arn=self.sts_role_arn,
            sts_role_external_id=self.sts_role_external_id,
            sts_role_session_name=self.sts_role_session_name,
            sts_role_session_duration=self.sts_role_session_duration,
            sts_endpoint_url=self.sts_endpoint_override,
            requester_pays=self.request_payer is not None,
            expected_bucket_owner=self.expected_bucket_owner,
        )


class MinioConnection(Spec):
    """The connection properties of the ``minio`` types. The two certificates are PEM text."""

    access_key_id: Dynamic[Optional] = None
    """The access key; that of the daemon's environment without it."""
    secret_key_id: Dynamic[Optional] = None
    """The secret key that belongs to it."""
    region: Dynamic[Optional] = None
    """The region; that of the daemon's environment without it."""
    endpoint: Dynamic[Optional] = None
    """The address of the store."""
    ca_pem: Dynamic[Optional] = None
    """The certificates of the authorities to trust, as PEM text."""
    client_pem: Dynamic[Optional] = None
    """The client's certificate and key, as PEM text."""
    ssl: Annotated[None, NotYet("name the authority of the server's certificate in 'caPem'", harmless=({},))] = None
    """Refused: name the authority of the server's certificate in *caPem*."""

    def connection(self) -> Connection:
        """How to reach the store; only for a spec without templates."""
        return Connection(
            region=self.region,
            endpoint_url=self.endpoint,
            access_key_id=self.access_key_id,
            secret_key_id=self.secret_key_id,
            ca_pem=self.ca_pem,
            client_pem=self.client_pem,
        )
