# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""A gate in front of every request: what it refuses is not sent."""

import pytest
from clickpesa import BudgetSpent, NumberRequest, Unavailable
from fake_gateway import answer

MADE = answer(200, {"billPayNumber": "A1", "billPayNumbers": ["A1"]})
NO_TOKEN = answer(401, {"message": "Unauthorized"})


class Gate:
    """Lets ``free`` requests pass."""

    def __init__(self, free, retry_after=30):
        self.free, self.asked, self.retry_after = free, 0, retry_after

    def __call__(self):
        self.asked += 1
        if self.asked > self.free:
            raise BudgetSpent("Our limit is reached.", retry_after=self.retry_after)


def test_no_slot_means_no_token_and_no_call(gateway, connect):
    client = connect().gated(Gate(0))
    with pytest.raises(Unavailable) as caught:
        client.create_order_numbers([NumberRequest("A1", 500)])
    assert caught.value.retry_after == 30
    assert gateway.requests == []


def test_token_call_and_call_take_one_slot_each(gateway, connect):
    gate = Gate(3)
    client = connect().gated(gate)
    gateway.replies = [MADE]
    client.create_order_numbers([NumberRequest("A1", 500)])
    assert gate.asked == len(gateway.requests) == 2
    client.get_number("A1")
    assert gate.asked == len(gateway.requests) == 3
    with pytest.raises(BudgetSpent):
        client.get_number("A1")
    assert len(gateway.requests) == 3


def test_the_repeat_after_a_401_asks_again(gateway, connect):
    gate = Gate(10)
    client = connect().gated(gate)
    gateway.replies = [NO_TOKEN, MADE]
    client.create_order_numbers([NumberRequest("A1", 500)])
    assert gate.asked == len(gateway.requests) == 4  # token, 401, token, call


def test_every_repeat_of_a_read_asks_again(gateway, connect):
    gate = Gate(10)
    client = connect().gated(gate)
    gateway.replies = [answer(503, {}), answer(503, {}), MADE]
    client.get_number("A1")
    assert gate.asked == len(gateway.requests) == 4


def test_a_slot_that_is_near_is_waited_for(gateway, connect):
    gate = Gate(1, retry_after=3)
    maker = connect()
    client = maker.gated(gate)
    gateway.replies = [MADE]

    def nap(seconds):
        gate.free += 10

    client._sleep = nap
    assert client.get_number("A1").number == "A1"


def test_gated_clients_share_token_and_connections(gateway, connect):
    client = connect()
    gateway.replies = [MADE]
    client.gated(None).get_number("A1")
    client.gated(Gate(5)).get_number("A1")
    assert gateway.issued == 1
    assert gateway.connections == 1


def test_patience_is_that_of_the_gated_client(gateway, connect):
    client = connect()
    gateway.replies = [answer(503, {})]
    with pytest.raises(Unavailable):
        client.gated(None, patience=0).get_number("A1")
    assert len(gateway.calls()) == 1
