# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""A crowd shares the calls: real threads, no database."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

from odoo.tests import BaseCase, tagged

from ..crowd import Registrar


@tagged("post_install", "-at_install")
class TestCrowd(BaseCase):
    def setUp(self):
        super().setUp()
        self.batches = []
        self.busy = threading.Event()
        self.go = threading.Event()
        self.inside, self.most = 0, 1

    def work(self, env, keys):
        self.inside += 1
        assert self.inside <= self.most, "too many at a time"
        self.batches.append(list(keys))
        self.busy.set()
        assert self.go.wait(30)
        self.inside -= 1
        if "bad" in keys:
            raise ValueError("bad")
        return {key: (env, key) for key in keys}

    def gathered(self, registrar, count):
        deadline = time.monotonic() + 30
        while len(registrar._gathered) < count:
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def test_one_call_for_all_that_gathered(self):
        registrar = Registrar(self.work, 50)
        with ThreadPoolExecutor(100) as pool:
            first = pool.submit(registrar, "e", 0, 30)
            self.assertTrue(self.busy.wait(30))
            others = [pool.submit(registrar, "e", key, 30) for key in range(1, 81)]
            self.gathered(registrar, 80)
            self.go.set()
            self.assertEqual(first.result(), ("e", 0))
            for key, other in enumerate(others, start=1):
                self.assertEqual(other.result(), ("e", key))
        self.assertEqual([len(batch) for batch in self.batches], [1, 50, 30])
        # Nobody leads any more: the next one does it alone.
        self.assertEqual(registrar("f", "next", 30), ("f", "next"))

    def test_trouble_is_told_to_all_and_stops_no_later_one(self):
        registrar = Registrar(self.work, 50)
        with ThreadPoolExecutor(10) as pool:
            first = pool.submit(registrar, "e", "first", 30)
            self.assertTrue(self.busy.wait(30))
            others = [pool.submit(registrar, "e", key, 30) for key in ("bad", "good")]
            self.gathered(registrar, 2)
            self.go.set()
            first.result()
            for other in others:
                with self.assertRaises(ValueError):
                    other.result()
        self.assertEqual(registrar("e", "later", 30), ("e", "later"))

    def test_who_waited_long_enough_goes(self):
        registrar = Registrar(self.work, 50)
        with ThreadPoolExecutor(10) as pool:
            first = pool.submit(registrar, "e", "first", 30)
            self.assertTrue(self.busy.wait(30))
            self.assertIsNone(registrar("e", "impatient", 0.05))
            last = pool.submit(registrar, "e", "last", 30)
            self.gathered(registrar, 1)
            self.go.set()
            self.assertEqual(first.result(), ("e", "first"))
            self.assertEqual(last.result(), ("e", "last"))
        self.assertEqual(self.batches, [["first"], ["last"]])

    def test_two_do_not_wait_for_each_other(self):
        self.most = 2
        registrar = Registrar(self.work, 50, calls=2)
        with ThreadPoolExecutor(10) as pool:
            first = pool.submit(registrar, "e", "first", 30)
            second = pool.submit(registrar, "e", "second", 30)
            deadline = time.monotonic() + 30
            while len(self.batches) < 2:
                assert time.monotonic() < deadline
                time.sleep(0.01)
            others = [pool.submit(registrar, "e", key, 30) for key in range(5)]
            self.gathered(registrar, 5)
            self.go.set()
            self.assertEqual(first.result(), ("e", "first"))
            self.assertEqual(second.result(), ("e", "second"))
            for key, other in enumerate(others):
                self.assertEqual(other.result(), ("e", key))
        self.assertCountEqual(self.batches[:2], [["first"], ["second"]])
        self.assertCountEqual(
            [key for batch in self.batches[2:] for key in batch], range(5)
        )
        self.assertEqual(registrar("f", "next", 30), ("f", "next"))
