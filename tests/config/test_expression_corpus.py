"""Agreement with Pebble and Kestra on the expressions of the corpus, where there is one (``CONFORMANCE_CORPUS``)."""

from typing import Any

import pytest
from conformance.expressions import CORPUS, cases, disagreement, listed

from tidewaiter.config.expression import Expressions

DIFFERENT, OUTSIDE = listed("differs"), listed("out_of_scope")
ALL = list(cases())


@pytest.fixture(scope="module")
def expressions() -> Expressions:
    return Expressions()


def test_corpus_is_there() -> None:
    """The corpus was found, and has the cases we know of."""
    if not CORPUS.is_dir():
        pytest.skip(f"no corpus at {CORPUS}; set CONFORMANCE_CORPUS")
    assert len(ALL) > 700
    assert {*DIFFERENT, *OUTSIDE} <= {case["id"] for case in ALL}


def test_few_cases_differ() -> None:
    """Nearly every case that is about Kestra's expressions agrees."""
    assert not DIFFERENT.keys() & OUTSIDE.keys()
    assert len(DIFFERENT) <= 0.02 * max(len(ALL) - len(OUTSIDE), 650)


@pytest.mark.parametrize("case", ALL, ids=[case["id"] for case in ALL])
def test_case(expressions: Expressions, case: dict[str, Any]) -> None:
    """An expression gives what Pebble with Kestra's extensions gives, unless the difference is listed."""
    found = disagreement(expressions, case)
    if case["id"] in DIFFERENT or case["id"] in OUTSIDE:
        assert found, f"{case['id']} agrees now: take it off the list"
    else:
        assert not found, f"{case['expr']}: {found}"
