"""The properties of the bucket triggers."""

from datetime import timedelta
from typing import Annotated, Any

import pytest
from pydantic import TypeAdapter, ValidationError

from tidewaiter.config.errors import PropertyError
from tidewaiter.config.flow import TriggerSpec
from tidewaiter.config.schema import json_schema
from tidewaiter.config.spec import OneOf, Template, concrete
from tidewaiter.triggers.bucket import Encryption, ObjectProperties
from tidewaiter.triggers.s3 import TRIGGERS, BucketTrigger, MinioTrigger, S3Trigger

ANY_TRIGGER: TypeAdapter[BucketTrigger] = TypeAdapter(Annotated[TriggerSpec, OneOf(TRIGGERS)])


def s3(**properties: Any) -> S3Trigger:
    written = {"id": "t", "type": "io.kestra.plugin.aws.s3.Trigger", "bucket": "b-1", "action": "NONE", **properties}
    spec = ANY_TRIGGER.validate_python(written)
    assert isinstance(spec, S3Trigger)
    return spec


def minio(**properties: Any) -> MinioTrigger:
    spec = ANY_TRIGGER.validate_python({"id": "t", "type": "minio.Trigger", "bucket": "b-1", **properties})
    assert isinstance(spec, MinioTrigger)
    return spec


def refused(**properties: Any) -> str:
    """Give the only error of an S3 trigger with *properties*: where, and what."""
    with pytest.raises(ValidationError) as caught:
        s3(**properties)
    (error,) = caught.value.errors()
    return " ".join([*map(str, error["loc"]), error["msg"]])


MOVE = {"action": "MOVE", "prefix": "raw/", "moveTo": {"key": "archive"}}


def test_a_kestra_trigger_is_understood_as_written() -> None:
    """Names, scalars and durations of a flow written for Kestra are taken."""
    spec = s3(**MOVE, maxKeys=1, interval="PT1S", filter="FILES", region="eu-central-1", on="UPDATE")
    assert (spec.max_keys, spec.interval, spec.filter, spec.on) == (1, timedelta(seconds=1), "FILES", "UPDATE")


def test_defaults_are_those_of_kestra() -> None:
    """What an author leaves out means what it means in Kestra."""
    spec = s3()
    assert (spec.interval, spec.max_keys, spec.max_files) == (timedelta(minutes=1), 1000, 25)
    assert (spec.prefix, spec.filter, spec.on) == ("", "BOTH", "CREATE_OR_UPDATE")
    assert spec.sts_role_session_duration == timedelta(minutes=15)
    assert minio().action == "NONE"


def test_every_property_may_be_an_expression() -> None:
    """Properties that Kestra renders are held back as templates until then."""
    spec = s3(
        bucket="{{ vars.b }}", prefix="{{ vars.p }}", maxKeys="{{ vars.n }}", forcePathStyle="{{ vars.f }}",
        action="{{ vars.a }}", moveTo={"key": "{{ vars.k }}"},
        accessKeyId="{{ secret('A') }}", secretKeyId="{{ secret('B') }}",
    )  # fmt: skip
    values = {"vars.n": "7", "vars.f": "true", "vars.a": "MOVE", "vars.p": "raw/"}
    rendered = concrete(spec, lambda source: values.get(source.strip("{} "), "value"))
    assert not any(isinstance(value, Template) for _name, value in rendered)
    assert (rendered.max_keys, rendered.force_path_style, rendered.action) == (7, True, "MOVE")


def test_the_interval_is_not_an_expression() -> None:
    """Kestra does not render the interval, and neither do we."""
    assert "not an ISO-8601 duration" in refused(interval="{{ vars.i }}")


@pytest.mark.parametrize("move_to", [None, {}, {"key": None}, {"bucket": "b-2"}])
def test_move_needs_a_destination(move_to: Any) -> None:
    """MOVE without a folder to move to is an error with its remedy."""
    assert "moveTo: {key: archive/}" in refused(action="MOVE", moveTo=move_to)


def test_action_is_required_by_s3() -> None:
    """An S3 trigger says what it does to objects."""
    with pytest.raises(ValidationError, match="action"):
        S3Trigger.model_validate({"id": "t", "type": "aws.s3.Trigger", "bucket": "b-1"})


@pytest.mark.parametrize("name", ["maxKeys", "maxFiles", "prefetch"])
@pytest.mark.parametrize("value", [0, -1])
def test_counts_are_positive(name: str, value: int) -> None:
    """A limit below one would stop the trigger without a word."""
    assert refused(**{name: value}).startswith(name)


def test_conditions_that_make_no_sense_are_refused() -> None:
    """There is no execution of another flow that a bucket trigger could look at."""
    condition = {"type": "io.kestra.plugin.core.condition.ExecutionStatus", "in": ["SUCCESS"]}
    assert "ExecutionStatus looks at an execution" in refused(conditions=[condition])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("failOnTriggerError", True), ("logToFile", True), ("workerGroup", {"key": "gpu"}), ("stateKey", "mine"),
        ("stateTtl", "P1D"),
    ],
)  # fmt: skip
def test_what_has_no_effect_here_is_accepted_with_a_reason(name: str, value: Any) -> None:
    """A flow is not refused for a property whose job is done otherwise; the reason is there to be shown."""
    assert s3(**{name: value}) == s3()
    assert S3Trigger.IGNORED[name]


def test_defaults_of_what_is_not_there_are_harmless() -> None:
    """Writing down Kestra's default changes nothing."""
    s3(conditions=[], when="true", stopAfter=[], failOnTriggerError=False, logToFile=False, compatibilityMode=True)


def test_unknown_properties_are_refused() -> None:
    """A misspelt property is an error."""
    assert refused(perfix="raw/").startswith("perfix")


def test_a_wrong_expression_is_told_at_load() -> None:
    """A regular expression is compiled when the flow is loaded."""
    assert refused(regexp="(").startswith("regexp is not a regular expression")


def test_keys_come_in_pairs() -> None:
    """Half a pair of credentials would silently mean those of the machine."""
    assert "go together" in refused(accessKeyId="key")


def test_empty_text_means_absent() -> None:
    """An expression that renders to nothing leaves the property out."""
    spec = s3(regexp="", delimiter="", endpointOverride="", accessKeyId="", secretKeyId="")
    assert (spec.regexp, spec.delimiter, spec.endpoint_override, spec.access_key_id) == (None, None, None, None)


@pytest.mark.parametrize(
    "properties",
    [
        {"prefix": "raw/", "moveTo": {"key": "raw/done"}},
        {"moveTo": {"key": "archive/"}}, {"prefix": "raw", "moveTo": {"key": "raw-done"}},
        {"prefix": "raw/", "moveTo": {"key": "raw/done", "bucket": "b-1"}},
    ],
)  # fmt: skip
def test_a_move_into_the_watched_prefix_is_refused(properties: dict[str, Any]) -> None:
    """Moved objects would be found and moved again, for ever."""
    assert "inside the watched prefix" in refused(action="MOVE", **properties)


@pytest.mark.parametrize(
    "properties",
    [
        {"prefix": "raw/", "moveTo": {"key": "raw"}},
        {"prefix": "raw/", "regexp": ".*/x", "moveTo": {"key": "raw"}},
        {"prefix": "raw/x", "preservePath": True, "moveTo": {"key": "raw"}},
        {"prefix": "", "delimiter": "/", "moveTo": {"key": ""}},
    ],
)
def test_a_move_onto_itself_is_refused(properties: dict[str, Any]) -> None:
    """Source and destination are one folder: no pattern makes sense of that."""
    assert "onto itself" in refused(action="MOVE", **properties)


@pytest.mark.parametrize(
    "properties",
    [
        {"prefix": "raw/", "moveTo": {"key": "archive"}}, {"moveTo": {"key": "archive", "bucket": "b-2"}},
        {"delimiter": "/", "moveTo": {"key": "archive"}}, {"regexp": "[^/]+", "moveTo": {"key": "archive"}},
        {"prefix": "{{ vars.p }}", "moveTo": {"key": "raw/"}},
    ],
)  # fmt: skip
def test_a_move_elsewhere_is_accepted(properties: dict[str, Any]) -> None:
    """Another folder, another bucket, one level only, or an expression not yet rendered."""
    s3(action="MOVE", **properties)


def test_a_rendered_move_into_the_watched_prefix_is_refused() -> None:
    """What templates hide at load is found when they are rendered."""
    spec = s3(action="MOVE", prefix="{{ vars.p }}", moveTo={"key": "raw/done"})
    with pytest.raises(PropertyError, match="inside the watched prefix"):
        concrete(spec, lambda _source: "raw/")


def test_batch_size_is_the_smaller_limit() -> None:
    """One execution gets at most maxKeys and at most maxFiles objects."""
    assert (s3().batch_size, s3(maxKeys=1).batch_size, minio(maxKeys=7).batch_size) == (25, 1, 7)


def test_an_s3_connection() -> None:
    """The connection carries every property that says how to reach the store."""
    spec = s3(
        region="eu-west-1", endpointOverride="https://s3.example.com", forcePathStyle=True,
        accessKeyId="k", secretKeyId="s", sessionToken="t", requestPayer="requester", expectedBucketOwner="1234",
        stsRoleArn="arn:aws:iam::1234:role/r", stsRoleExternalId="e", stsRoleSessionDuration="PT1H",
    )  # fmt: skip
    connection = spec.connection()
    assert (connection.region, connection.endpoint_url, connection.path_style) == (
        "eu-west-1",
        "https://s3.example.com",
        True,
    )
    assert (connection.access_key_id, connection.secret_key_id, connection.session_token) == ("k", "s", "t")
    assert (connection.requester_pays, connection.expected_bucket_owner) == (True, "1234")
    assert (connection.sts_role_external_id, connection.sts_role_session_duration) == ("e", timedelta(hours=1))


def test_a_minio_connection() -> None:
    """MinIO's own names for endpoint and certificates are understood."""
    connection = minio(endpoint="http://127.0.0.1:9000", caPem="ca", clientPem="client").connection()
    assert (connection.endpoint_url, connection.ca_pem, connection.client_pem) == (
        "http://127.0.0.1:9000",
        "ca",
        "client",
    )


@pytest.mark.parametrize(
    ("written", "meant"),
    [(None, None), ("NONE", None), ("AES256", Encryption("AES256")), ("AWS_KMS", Encryption("aws:kms", "key-1"))],
)
def test_encryption_of_the_copy(written: str | None, meant: Encryption | None) -> None:
    """Kestra's names for server-side encryption become those of S3."""
    spec = s3(action="MOVE", prefix="raw/", moveTo={"key": "a", "serverSideEncryption": written, "kmsKeyId": "key-1"})
    assert spec.move_to is not None
    assert spec.move_to.encryption == meant


def test_what_an_archived_copy_gets() -> None:
    """Storage class, tags and metadata of ``moveTo`` may be expressions."""
    written = {"key": "a", "storageClass": "GLACIER_IR", "tags": {"day": "{{ d }}"}, "metadata": {"by": "tide", "n": 1}}
    spec = concrete(s3(action="MOVE", prefix="raw/", moveTo=written), lambda _source: "12")
    assert spec.move_to is not None
    assert spec.move_to.properties == ObjectProperties(None, "GLACIER_IR", {"day": "12"}, {"by": "tide", "n": "1"})


@pytest.mark.parametrize(
    ("property_", "value", "said"),
    [
        ("storageClass", "GLACIER\r\nx: y", "pattern"), ("tags", {"aws:x": "y"}, "reserved"),
        ("metadata", {"a b": "c"}, "plain ASCII"), ("metadata", {"a": "b\r\nx: y"}, "plain ASCII"),
        ("metadata", {"a": "é"}, "plain ASCII"), ("metadata", {"a": "b" * 2048}, "2 kB"),
    ],
)  # fmt: skip
def test_what_no_copy_can_get_is_refused(property_: str, value: Any, said: str) -> None:
    """What cannot be sent is told at load, at its place."""
    error = refused(action="MOVE", prefix="raw/", moveTo={"key": "a", property_: value})
    assert error.startswith(f"moveTo {property_}")
    assert said in error


def test_tags_of_the_action() -> None:
    """``action: TAG`` has tags, which may be an expression as a whole."""
    assert s3(action="TAG", tags={"state": "taken"}).tags == {"state": "taken"}
    spec = concrete(s3(action="{{ a }}", tags="{{ t }}"), lambda source: "TAG" if "a" in source else '{"n": "v"}')
    assert (spec.action, spec.tags) == ("TAG", {"n": "v"})


@pytest.mark.parametrize("tags", [None, {}])
def test_action_tag_needs_tags(tags: Any) -> None:
    """TAG without tags would do nothing: the error shows how to write them."""
    assert "add 'tags: {state: taken}'" in refused(action="TAG", tags=tags)


@pytest.mark.parametrize("action", ["NONE", "DELETE"])
def test_tags_belong_to_the_action(action: str) -> None:
    """Tags that would never be set are an error that names the place for those of a copy."""
    assert "moveTo: {tags: …}" in refused(action=action, tags={"state": "taken"})


def test_too_many_tags_are_refused() -> None:
    """The limits of S3 are known at load."""
    assert refused(action="TAG", tags={f"t{number}": "" for number in range(11)}).startswith("tags an object has")


@pytest.mark.parametrize("properties", [{"action": "NONE"}, {"action": "TAG", "tags": {"a": "b"}}])
def test_keeping_versions_belongs_to_a_removal(properties: dict[str, Any]) -> None:
    """Where nothing is removed there is nothing to keep."""
    assert "keepVersions belongs to" in refused(keepVersions=True, **properties)


def test_the_schema_can_be_written() -> None:
    """Editors get a JSON schema of both triggers."""
    made = [json_schema(trigger, "trigger")["properties"] for trigger in TRIGGERS]
    assert ["maxFiles" in properties for properties in made] == [True, False]
