"""A probe that meets faults: what it could not find out must not pass for what the store cannot do."""

import itertools
from dataclasses import dataclass

import pytest
from aiohttp import web
from faults.operation import Operation
from faults.proxy import Proxy, Rule, proxy_to
from faults.storm import Fault, LostReplies, inflict
from stores.seaweedfs import Store

from tidewaiter.config.connection import Connection
from tidewaiter.triggers.aws import Clients
from tidewaiter.triggers.bucket import BucketError

ABLE = {"delete_if_match": True, "copy_source_if_match": True, "copy_if_none_match": True, "versioning": False}


@dataclass
class _From:
    """Refuses every request from the *number*-th on, as one whose credentials have ended."""

    proxy: Proxy
    fault: Fault
    number: int

    async def __call__(self, request: web.Request) -> web.StreamResponse | None:
        late = len(self.proxy.requests) >= self.number
        return await inflict(self.fault, request, self.proxy) if late else None


async def _probed(proxy: Proxy, store: Store, bucket_name: str, rule: Rule) -> dict[str, bool]:
    proxy.rules[:] = [rule]
    proxy.requests.clear()
    there = Connection("us-east-1", proxy.endpoint_url, store.access_key_id, store.secret_key_id)
    async with Clients({}) as clients, clients(there, bucket_name) as bucket:
        found = await bucket.probe("scratch/")
    return {name: getattr(found, name) for name in ABLE}


@pytest.mark.parametrize("fault", [Fault.EXPIRED, Fault.SKEWED], ids=lambda fault: fault.name)
async def test_credentials_that_end_are_no_answer(fault: Fault, seaweedfs: Store, bucket_name: str) -> None:
    """Wherever in a probe they end: it fails, to be asked again, and never finds that the store cannot do something."""
    async with proxy_to(seaweedfs.endpoint_url) as proxy:
        for number in itertools.count(1, 4):
            try:
                found = await _probed(proxy, seaweedfs, bucket_name, _From(proxy, fault, number))
            except BucketError:
                continue
            assert found == ABLE
            break
    assert number > 12


async def test_lost_replies_are_asked_again(seaweedfs: Store, bucket_name: str) -> None:
    """Its objects are its own, so what was carried out though the reply was lost is simply done again."""
    async with proxy_to(seaweedfs.endpoint_url) as proxy:
        operations = frozenset({Operation.PUT, Operation.COPY, Operation.DELETE, Operation.HEAD, Operation.VERSIONING})
        rule = LostReplies(proxy, operations, probes=True)
        assert await _probed(proxy, seaweedfs, bucket_name, rule) == ABLE
    assert set(rule.lost) == operations
