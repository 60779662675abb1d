# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

from odoo.tests import BaseCase, tagged

from ..throttle import Allowance


@tagged("post_install", "-at_install")
class TestAllowance(BaseCase):
    def setUp(self):
        super().setUp()
        self.now = 1000.0
        self.allowance = Allowance(burst=2, per_second=0.5, clock=lambda: self.now)

    def take(self, count=1, key="a"):
        return [self.allowance.take(key) for _each in range(count)]

    def test_so_much_at_once_and_so_much_per_second(self):
        self.assertEqual(self.take(4), [1, 1, 0, 0])
        self.now += 1
        self.assertEqual(self.take(), [0])
        self.now += 1
        self.assertEqual(self.take(2), [4, 0], "what asked in vain is counted")

    def test_rest_fills_the_bucket_and_no_more(self):
        self.take(2)
        self.now += 1000
        self.assertEqual(self.take(3), [1, 1, 0])

    def test_keys_do_not_share(self):
        self.take(3)
        self.assertEqual(self.take(key="b"), [1])

    def test_what_is_given_back_is_counted_again(self):
        self.take(5)
        self.now += 2
        [count] = self.take()
        self.assertEqual(count, 4)
        self.allowance.give_back("a", count - 1)
        self.now += 2
        self.assertEqual(self.take(), [4])
