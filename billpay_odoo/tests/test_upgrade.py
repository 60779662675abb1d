# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""A database made by the version before is upgraded by the real server."""

import psycopg2.errors

from odoo.tests import tagged

from .older import EVENT_INDEXES, make_older, number_keys
from .test_concurrency import ConcurrencyCase


class UpgradeCase(ConcurrencyCase):
    """A copy of the database whose numbers are as the version before left them."""

    def number(self, name, **values):
        """Store a number by SQL, as the version before did; return its id."""
        values = {
            "name": name,
            "kind": "order",
            "origin": "api",
            "state": "open",
            "mode": "flexible",
            "allocation_policy": "exact_oldest",
            "provider_id": self.provider,
            "company_id": self.company,
            "currency_id": self.db.value(
                "SELECT id FROM res_currency WHERE name = 'TZS'"
            ),
            "amount": 1000,
            "known_amount": 1000,
            "wanted_active": True,
            "known_active": True,
            "confirmed_at": "2026-11-01",
            "create_date": "2026-11-01",
            **values,
        }
        return self.db.value(
            "INSERT INTO billpay_control_number (%s) VALUES (%s) RETURNING id"
            % (", ".join(values), ", ".join(["%s"] * len(values))),
            *values.values(),
        )

    def indexes(self):
        rows = self.db(
            "SELECT indexname, indexdef FROM pg_indexes"
            " WHERE tablename = 'billpay_control_number'"
        )
        return dict(rows)

    def all_indexes(self):
        """Return the names of all indexes on tables of ours."""
        rows = self.db(
            "SELECT indexname FROM pg_indexes"
            " WHERE tablename LIKE 'billpay\\_%%' OR indexname LIKE '%%billpay%%'"
        )
        return sorted(name for (name,) in rows)

    def assertSecondRefused(self, key):
        [[name, provider]] = self.db(
            "SELECT name, provider_id FROM billpay_control_number"
            " WHERE bill_key = %s AND state IN ('pending', 'open', 'failed')",
            key,
        )
        self.assertEqual(provider, self.provider, name)
        with self.assertRaises(psycopg2.errors.UniqueViolation) as caught:
            self.number("99990001", bill_key=key)
        self.assertEqual(
            caught.exception.diag.constraint_name, "billpay_control_number_one_per_bill"
        )


@tagged("post_install", "-at_install")
class TestUpgrade(UpgradeCase):
    def test_numbers_of_the_version_before(self):
        [[living, _number], [paid, _number], [closed, _number]] = self.invoices(
            1000, 2000, 3000
        )
        tx, _number = self.run_worker("checkout", company=self.company, amount=4000)
        made = self.run_worker("customers", company=self.company, count=2)
        [partner, other], purpose = made["partners"], made["purpose"]
        booked = [self.paid_invoice()[1] for _each in range(2)]
        self.sandbox.settle(booked[1]["id"])
        self.run_worker("poll_and_process")
        fresh = self.all_indexes()
        make_older(self.db)
        for column in EVENT_INDEXES:
            name = f"billpay_event__{column}_index"
            self.db(f"CREATE INDEX {name} ON billpay_event ({column})")
        self.db("UPDATE billpay_payment SET ask_at = NULL")
        self.db("UPDATE payment_provider SET billpay_poll_rest = '{\"skip\": 9}'")
        self.db("UPDATE payment_provider SET clickpesa_health_token = NULL")
        self.db(
            "UPDATE billpay_control_number SET state = 'paid' WHERE move_id = %s", paid
        )
        self.db(
            "UPDATE billpay_control_number SET state = 'closed' WHERE move_id = %s",
            closed,
        )
        last = self.db.value(
            "SELECT id FROM billpay_control_number WHERE move_id = %s", closed
        )
        self.number("11220001", move_id=closed, predecessor_id=last)
        customer = {"kind": "customer", "purpose_id": purpose}
        self.number("11220002", partner_id=partner, state="closed", **customer)
        self.number("11220003", partner_id=partner, **customer)
        self.number("11220004", partner_id=other, state="failed", **customer)
        self.number("11220005", kind="customer", origin="imported", partner_id=partner)
        self.number("11220006", origin="imported", partner_id=partner)
        self.number("11220008", sync_at="2026-11-01", amount=2000)
        self.number("11220009", sync_at="2026-11-01", confirmed_at=None)
        # What a hand at the database left behind: the newest one is given out.
        self.db("DROP INDEX billpay_control_number_one_per_purpose")
        self.number("11220007", partner_id=other, state="pending", **customer)

        self.processes.upgrade("billpay_odoo")

        self.db.connect()
        self.assertEqual(self.all_indexes(), fresh)
        # What is not settled is asked about within two weeks.
        self.assertEqual(
            [(booked[0]["id"], True)],
            self.db(
                "SELECT reference, ask_at - now() < interval '15 days'"
                " FROM billpay_payment"
                " WHERE provider_id = %s AND ask_at IS NOT NULL",
                self.provider,
            ),
        )
        self.assertFalse(
            self.db("SELECT FROM payment_provider WHERE billpay_poll_rest IS NOT NULL")
        )
        # New numbers go before the changes that waited.
        ranks = dict(
            self.db(
                "SELECT name, sync_rank FROM billpay_control_number"
                " WHERE name LIKE '1122000_'"
            )
        )
        self.assertEqual(ranks.pop("11220008"), 1)
        self.assertEqual(set(ranks.values()), {0})
        self.assertIn("sync_rank", self.indexes()["billpay_control_number_sync_due"])
        # A number that nobody can have may be deleted though a run made it.
        self.assertEqual(
            self.db.value(
                "SELECT confdeltype FROM pg_constraint"
                " WHERE conname = 'billpay_run_line_number_id_fkey'"
            ),
            "n",
        )
        # The health page has an address of its own.
        [[health, webhook]] = self.db(
            "SELECT clickpesa_health_token, clickpesa_webhook_token"
            " FROM payment_provider WHERE id = %s",
            self.provider,
        )
        self.assertGreaterEqual(len(health or ""), 32)
        self.assertNotEqual(health, webhook)
        keys = number_keys(self.db, self.provider)
        for name, key in {
            "11220001": f"invoice:{closed}",
            "11220002": f"purpose:{partner}:{purpose}",
            "11220003": f"purpose:{partner}:{purpose}",
            "11220004": None,
            "11220005": None,
            "11220006": None,
            "11220007": f"purpose:{other}:{purpose}",
        }.items():
            self.assertEqual(keys[name][0], key, name)
        by_key = self.db(
            "SELECT bill_key, state FROM billpay_control_number"
            " WHERE move_id IN (%s, %s, %s) ORDER BY id",
            living,
            paid,
            closed,
        )
        self.assertEqual(
            by_key,
            [
                (f"invoice:{living}", "open"),
                (f"invoice:{paid}", "paid"),
                (f"invoice:{closed}", "closed"),
                (f"invoice:{closed}", "open"),
            ],
        )
        indexes = self.indexes()
        self.assertIn("UNIQUE", indexes["billpay_control_number_one_per_bill"])
        for gone in ("one_asking", "one_per_purpose", "one_per_checkout"):
            self.assertNotIn("billpay_control_number_" + gone, indexes)
        for key in (
            f"invoice:{living}",
            f"checkout:{tx}",
            f"purpose:{partner}:{purpose}",
        ):
            self.assertSecondRefused(key)
        # A posted invoice gets a number, and is paid by it.
        [[move, number]] = self.run_worker(
            "invoices", company=self.company, amounts=[150000]
        )
        self.run_worker("sync")
        self.assertEqual(
            self.db.value(
                "SELECT bill_key FROM billpay_control_number WHERE name = %s", number
            ),
            f"invoice:{move}",
        )
        payment = self.pay(number, 150000)
        self.deliver(payment)
        self.run_worker("process")
        self.assertBookedOnce(*booked, payment)
        self.assertEqual(
            self.db.value("SELECT payment_state FROM account_move WHERE id = %s", move),
            "paid",
        )
