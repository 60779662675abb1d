# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Whatever is open and whatever is paid: money is neither made nor lost."""

import random
import time
from itertools import combinations

import pytest
from allocation import MOST_OPEN, exact_bills, oldest_first
from hypothesis import given
from hypothesis import strategies as st

amounts = st.integers(0, 10**9)
dues = st.lists(st.integers(-1000, 10**7), max_size=40)
few_dues = st.lists(st.integers(-2, 12), max_size=9)


@given(amounts, dues)
def test_what_is_given_and_the_credit_are_the_payment(amount, dues):
    given_ = oldest_first(amount, dues)
    assert len(given_) == len(dues)
    assert 0 <= sum(given_) <= amount
    # Credit is left only when every bill is paid.
    if sum(given_) < amount:
        assert given_ == [max(due, 0) for due in dues]


@given(amounts, dues)
def test_no_bill_gets_more_than_it_asks(amount, dues):
    for part, due in zip(oldest_first(amount, dues), dues, strict=True):
        assert 0 <= part <= max(due, 0)


@given(amounts, dues)
def test_a_newer_bill_gets_nothing_while_an_older_one_is_open(amount, dues):
    given_ = oldest_first(amount, dues)
    for position, (part, due) in enumerate(zip(given_, dues, strict=True)):
        if part < due:
            assert not any(given_[position + 1 :])


@given(st.integers(-5, 80), few_dues)
def test_exact_sum_is_found_when_there_is_one(amount, dues):
    found = exact_bills(amount, dues)
    ways = [
        way
        for count in range(1, 6)
        for way in combinations(range(len(dues)), count)
        if sum(dues[i] for i in way) == amount
        and amount > 0
        and all(dues[i] > 0 for i in way)
    ]
    if not ways:
        assert found == []
        return
    assert tuple(found) in ways
    fewest = [way for way in ways if len(way) == len(ways[0])]
    assert len(found) == len(ways[0])
    assert found[-1] == min(way[-1] for way in fewest)


@given(st.lists(st.integers(1, 10**7), min_size=1, max_size=40), st.randoms())
def test_chosen_bills_are_found_again(dues, chance):
    count = chance.randint(1, min(5, len(dues)))
    amount = sum(chance.sample(dues, count))
    found = exact_bills(amount, dues)
    assert 1 <= len(found) <= count
    assert len(set(found)) == len(found)
    assert sum(dues[i] for i in found) == amount


def test_six_bills_are_too_many():
    assert exact_bills(63, [1, 2, 4, 8, 16, 32]) == []
    assert exact_bills(31, [1, 2, 4, 8, 16, 32]) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    "dues",
    [
        [2] * MOST_OPEN,
        [2 * (i + 1) for i in range(MOST_OPEN)],
        [2 * random.Random(7).randint(1, 10**7) for _i in range(MOST_OPEN)],
        [2] * 5000,
    ],
    ids=["equal", "steps", "any", "thousands"],
)
def test_search_without_an_answer_ends_soon(dues):
    """Odd amounts are no sum of even ones; every other short cut is closed."""
    start = time.process_time()
    # Two and a half times the largest: sums of three, four and five are all tried.
    assert exact_bills(max(dues) * 5 // 2 | 1, dues) == []
    assert time.process_time() - start < 5
