"""What a caller may ask for: checked at the call, and made once where nothing is asked for."""

import pytest

from meshcluster import ConfigError
from meshcluster.rpc.terms import RETRIES, TIMEOUT_SECONDS, USUAL, Terms, terms_of


def test_who_asks_for_nothing_gets_the_usual():
    assert terms_of(TIMEOUT_SECONDS, RETRIES, None, None, None) is USUAL
    assert (USUAL.timeout, USUAL.retries, USUAL.where) == (30.0, 2, None)
    assert (USUAL.idempotent, USUAL.returns) == (None, None)


@pytest.mark.parametrize(
    "asked",
    [(1, 2, None, None, None), (30.0, 0, None, None, None), (30.0, 2, "web", None, None),
     (30.0, 2, None, False, None), (30.0, 2, None, None, int)],
    ids=repr,
)  # fmt: skip
def test_who_asks_for_anything_gets_that(asked):
    terms = terms_of(*asked)
    kind = None if terms.returns is None else terms.returns.kind
    assert (terms.timeout, terms.retries, terms.where, terms.idempotent, kind) == asked


@pytest.mark.parametrize("retries", [-1, 1.0, None, True, "2"])
def test_retries_are_a_number(retries):
    with pytest.raises(ConfigError, match="retries"):
        Terms(retries=retries)


@pytest.mark.parametrize("timeout", [-1, None, "1", float("nan")])
def test_a_timeout_is_a_duration(timeout):
    with pytest.raises(ConfigError, match="timeout"):
        Terms(timeout=timeout)


def test_words_are_kept_for_each_try_also_those_of_an_iterator():
    assert Terms(where=iter(["a", "b"])).where == ("a", "b")
    assert Terms(where=[]).where == ()
    with pytest.raises(ConfigError, match="where"):
        Terms(where=["a", 5])
