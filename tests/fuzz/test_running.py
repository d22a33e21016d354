"""What a run tells is what was fed, and a defect is told with its input."""

import time
from dataclasses import replace
from random import Random

import pytest

from meshcluster.errors import DecodeError

from .command import load, main
from .mutating import Mutator
from .running import Broken, Run
from .target import Target, counted
from .targets import TARGETS

FED = 3000
TXT = TARGETS["txt"]


def run(take, **changes):
    target: Target = replace(TXT, open=lambda: take, reason=counted, **changes)
    return Run(target, seed=1, pool=TXT.seeds())


def test_the_same_seed_feeds_the_same():
    batches = []
    for _ in range(2):
        mutator = Mutator(Random(1), TXT.seeds(), TXT.dialect, TXT.limit_bytes)
        batches.append([data for _ in range(10) for data in mutator.batch()])
    assert batches[0] == batches[1]
    assert len(set(batches[0])) > len(batches[0]) / 2
    assert max(map(len, batches[0])) <= TXT.limit_bytes


def test_each_input_is_taken_or_refused_for_a_reason():
    def take(data):
        if len(data) % 2:
            raise DecodeError(f"odd: {len(data)} bytes")

    outcome = run(take).go(FED)
    assert outcome.inputs >= FED
    assert outcome.accepted + outcome.refused["odd"] == outcome.inputs
    assert len(outcome.refused) == 1


def test_an_error_that_is_not_the_targets_own_is_told_with_its_input():
    def take(data):
        if b"=g" in data:
            raise KeyError("not expected")

    with pytest.raises(Broken, match="KeyError") as caught:
        run(take).go(10**6)
    assert b"=g" in caught.value.data


def test_reasons_as_many_as_a_liar_wants_are_a_defect():
    def take(data):
        raise DecodeError(data.hex())

    with pytest.raises(Broken, match=r"refused for \d+ reasons"):
        run(take).go(10**6)


def test_what_takes_long_and_what_takes_memory_is_seen():
    slow = TXT.seeds()[1]

    def take(data):
        if data == slow:
            time.sleep(0.002)
            return bytes(3_000_000)

    outcome = run(take).go(FED)
    assert outcome.most > 2_900
    assert outcome.slowest[0] > 1000 > outcome.slowest[1]
    assert outcome.slowest == sorted(outcome.slowest, reverse=True)


def test_the_tally_keeps_the_last_run_of_each_target(tmp_path, capsys):
    tally, page = tmp_path / "tally.jsonl", tmp_path / "page.md"
    kept = ["--keep", "--tally", str(tally), "--page", str(page)]
    assert main(["txt", "secret", "--inputs", "2000", *kept]) == 0
    assert main(["txt", "--inputs", "4000", *kept]) == 0
    found = {each.target: each.inputs for each in load(tally)}
    assert list(found) == ["secret", "txt"]
    assert found["txt"] > 3999 > found["secret"]
    assert "| txt |" in page.read_text()
    assert "txt: 4," in capsys.readouterr().out
