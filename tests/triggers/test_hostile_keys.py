"""Keys an uploader may choose: they must survive list, read, copy and delete unchanged, whatever they look like."""

from pathlib import Path

import pytest

from tidewaiter.triggers.bucket import Bucket, BucketError, Removal

KEYS = [
    "$(id)", "`id`", "';id;'", "-rf", "--help", "{{ 7*7 }}", "{% raw %}", "${x}", "%s", "%", "a%2Fb", "a+b", "a%2Bb",
    "a b", "trailing ", "dot.", "=cmd|x", "<script>", '"><img onerror>', "javascript:", "a?b#c", "a&b<c>", "*", "~t",
    ".git/config",
    "a\nb", "a\r\nSet-Cookie: x", "a\tb", "\x01c", "\x1b[2J", "\u202efoo", "a\u2028b", "\ufeffbom", "e\u0301", "\u00e9",
    "\u0430", "Case/x", "case/x", "/".join(["\U0001f600" * 30] * 8),
]  # fmt: skip


@pytest.mark.parametrize("key", KEYS, ids=ascii)
async def test_keys_survive_the_round_trip(bucket: Bucket, tmp_path: Path, key: str) -> None:
    """A key is listed as it was uploaded, and read, copied and deleted under exactly that name."""
    (tmp_path / "local").write_bytes(b"data")
    await bucket.upload(tmp_path / "local", bucket.name, key)
    (listed,) = [listed async for page in bucket.list("") for listed in page.objects]
    assert listed.key == key
    await bucket.read(listed, tmp_path / "data")
    await bucket.copy(listed, bucket.name, "copied")
    assert await bucket.delete(listed) is Removal.REMOVED
    assert [left.key async for page in bucket.list("") for left in page.objects] == ["copied"]


@pytest.mark.parametrize(
    "key", ["..", ".", "../x", "a/../b", "a/./b", "a\\..\\b", "a\0b", "x" * 1025, "\ud800"], ids=ascii
)
async def test_a_refused_key_is_an_error_of_ours(bucket: Bucket, tmp_path: Path, key: str) -> None:
    """What the store or the client library refuses ends as `BucketError`, with the key made printable."""
    (tmp_path / "local").write_bytes(b"data")
    with pytest.raises(BucketError) as caught:
        await bucket.upload(tmp_path / "local", bucket.name, key)
    assert caught.value.message.isprintable()
