"""Where requests go: endpoints, hosts and paths."""

import pytest

from tidewaiter.config.connection import Connection
from tidewaiter.triggers.aws.address import Address, Addresses, quoted
from tidewaiter.triggers.bucket import BucketError


def url(connection: Connection, bucket: str = "b-1", key: str | None = None) -> str:
    addresses = Addresses(connection)
    found = addresses.find(bucket, key, addresses.region)
    return found.origin + found.path


@pytest.mark.parametrize(
    ("region", "host"),
    [
        (None, "b-1.s3.us-east-1.amazonaws.com"),
        ("eu-central-1", "b-1.s3.eu-central-1.amazonaws.com"),
        ("us-gov-west-1", "b-1.s3.us-gov-west-1.amazonaws.com"),
        ("cn-north-1", "b-1.s3.cn-north-1.amazonaws.com.cn"),
        ("us-iso-east-1", "b-1.s3.us-iso-east-1.c2s.ic.gov"),
        ("us-isob-east-1", "b-1.s3.us-isob-east-1.sc2s.sgov.gov"),
        ("us-isof-south-1", "b-1.s3.us-isof-south-1.csp.hci.ic.gov"),
        ("eu-isoe-west-1", "b-1.s3.eu-isoe-west-1.cloud.adc-e.uk"),
        ("eusc-de-east-1", "b-1.s3.eusc-de-east-1.amazonaws.eu"),
    ],
)
def test_aws_has_an_endpoint_in_each_region(region: str | None, host: str) -> None:
    """Without an endpoint the region names it, in the domain of its partition; without a region it is us-east-1."""
    assert url(Connection(region)) == f"https://{host}/"


@pytest.mark.parametrize("bucket", ["with.dots", "Capital", "under_score", "ab"])
def test_a_bucket_that_fits_no_host_goes_in_the_path(bucket: str) -> None:
    """A name that no certificate or host name can carry is put in the path."""
    assert url(Connection("eu-west-1"), bucket, "k") == f"https://s3.eu-west-1.amazonaws.com/{bucket}/k"


@pytest.mark.parametrize(
    ("endpoint", "path_style", "expected"),
    [
        ("http://127.0.0.1:9000", None, "http://127.0.0.1:9000/b-1/k"),
        ("http://127.0.0.1:9000/", None, "http://127.0.0.1:9000/b-1/k"),
        ("https://s3.example.com/gateway/", None, "https://s3.example.com/gateway/b-1/k"),
        ("https://s3.example.com:443", None, "https://s3.example.com/b-1/k"),
        ("http://[::1]:9000", None, "http://[::1]:9000/b-1/k"),
        ("https://s3.example.com", False, "https://b-1.s3.example.com/k"),
        (None, True, "https://s3.us-east-1.amazonaws.com/b-1/k"),
    ],
)
def test_an_endpoint_is_used_as_given(endpoint: str | None, path_style: bool | None, expected: str) -> None:
    """An endpoint keeps its port and path, and takes buckets in the path unless told otherwise."""
    assert url(Connection(endpoint_url=endpoint, path_style=path_style), "b-1", "k") == expected


def test_the_host_has_the_port() -> None:
    """The signed host is the one in the URL, with a port that is not the scheme's own."""
    found = Addresses(Connection(endpoint_url="http://store:9000")).find("b-1", None, "us-east-1")
    assert found == Address("http://store:9000", "store:9000", "/b-1")


@pytest.mark.parametrize(
    ("key", "path"),
    [
        ("../other/x", "../other/x"), ("a//b", "a//b"), ("/", "/"), ("a%2Fb", "a%252Fb"), ("a+b c", "a%2Bb%20c"),
        ("a?b#c", "a%3Fb%23c"), ("~t-._", "~t-._"), ("é", "%C3%A9"), ("a\r\nb", "a%0D%0Ab"),
    ],
)  # fmt: skip
def test_a_key_is_encoded_once_and_otherwise_left_alone(key: str, path: str) -> None:
    """Dots and slashes are part of a name in S3; everything unsafe is percent-encoded once."""
    assert quoted(key) == path


@pytest.mark.parametrize(
    "endpoint",
    ["not a url", "ftp://host", "https://", "//host", "https://host?x=1", "https://me:pass@host", "http://["],
)
def test_no_endpoint(endpoint: str) -> None:
    """What is no plain URL of a host is refused, and a password in it is not printed."""
    with pytest.raises(BucketError) as caught:
        Addresses(Connection(endpoint_url=endpoint))
    assert caught.value.cause == "InvalidEndpoint"
    assert "pass" not in caught.value.message


@pytest.mark.parametrize("region", ["eu west", "x/../y", "evil.example#", "EU-WEST-1", "-"])
def test_no_region(region: str) -> None:
    """A region becomes part of the host, so it may not change which host that is."""
    with pytest.raises(BucketError) as caught:
        Addresses(Connection(region))
    assert caught.value.cause == "InvalidRegion"


@pytest.mark.parametrize("bucket", ["..", "", "a/b", "a?b", "evil.com:1", "arn:aws:s3:::b", "x" * 256])
def test_no_bucket(bucket: str) -> None:
    """A bucket's name cannot lead anywhere else."""
    with pytest.raises(BucketError) as caught:
        Addresses(Connection(endpoint_url="http://store")).find(bucket, "k", "us-east-1")
    assert caught.value.cause == "InvalidBucketName"
