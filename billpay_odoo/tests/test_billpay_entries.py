# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What the books have already is linked, and never booked a second time."""

from unittest.mock import patch

from odoo.tests import tagged

from .ledger import LedgerCommon


@tagged("post_install", "-at_install")
class TestBookedBefore(LedgerCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.clerk = cls._user("billpay_e_clerk", "account.group_account_manager")

    def _forget(self, rows):
        """Lose what uninstalling takes: the ledger, and the link to it."""
        self.env.flush_all()
        kept = rows.account_payment_ids
        self.env.cr.execute(
            "UPDATE account_payment SET billpay_payment_id = NULL, billpay_part = NULL"
            " WHERE id = ANY(%s)",
            [kept.ids],
        )
        self.env.cr.execute(
            "DELETE FROM billpay_payment WHERE id = ANY(%s)", [rows.ids]
        )
        self.env.invalidate_all()
        return kept

    def _books(self):
        """All there is on this company's customers and its payments, for comparison."""
        lines = self.env["account.move.line"].search(
            [
                ("company_id", "=", self.company.id),
                ("parent_state", "=", "posted"),
            ]
        )
        return [
            (line.id, line.balance, line.amount_residual)
            for line in lines.sorted("id")
            if line.account_id.reconcile or line.move_id.origin_payment_id
        ]

    def _by_hand(self, amount, memo, post=True, **values):
        payment = self.env["account.payment"].create(
            {
                "payment_type": "inbound",
                "partner_type": "customer",
                "partner_id": self.partner.id,
                "amount": amount,
                "currency_id": self.tzs.id,
                "journal_id": self.provider.journal_id.id,
                "memo": memo,
                **values,
            }
        )
        if post:
            payment.action_post()
        return payment

    def test_payments_of_a_lost_ledger_are_linked(self):
        shop = self.env["res.partner"].create({"name": "Duka la Asha"})
        exact, over, under = (self._invoice(amount) for amount in (5000, 7000, 9000))
        rows = self.env["billpay.payment"].sudo()
        for index, (move, amount) in enumerate(
            ((exact, 5000), (over, 8000), (under, 2000))
        ):
            rows |= self._confirmed(
                move.billpay_number_id,
                amount,
                reference=f"LCPX00{index}99",
                receipt=f"QJK12{index}AB9",
            )
        # Two customers: two entries of one payment.
        two = self._confirmed(
            "1122000", 3000, reference="LCP-77/12345", receipt="RCPT777001"
        )
        bills = self._invoice(1000), self._invoice(2000, partner=shop)
        self._post(rows | two, together=False)
        self.env["billpay.decision"]._match_by_hand(
            two.with_user(self.clerk),
            [(move, move.amount_total) for move in bills],
            shop,
        )
        rows |= two
        self.assertEqual(set(rows.mapped("state")), {"posted"})
        self.assertEqual(len(two.account_payment_ids), 2)
        told = [
            {name: row[name] for name in ("reference", "receipt", "number", "amount")}
            for row in rows
        ]
        before, kept = self._books(), self._forget(rows)
        new = self.env["billpay.payment"].sudo()
        for each in told:
            new |= self._confirmed(each.pop("number"), each.pop("amount"), **each)
        self._post(new, together=False)
        self.assertEqual(set(new.mapped("state")), {"posted"}, new.mapped("reason"))
        self.assertEqual(new.account_payment_ids, kept)
        self.assertEqual(self._books(), before)
        self.assertEqual(len(new[3].account_payment_ids), 2)

    def test_fee_and_discount_do_not_hide_it(self):
        channel = self.env["billpay.channel"].sudo()._find_by_code("M-PESA")
        channel.write({"fee_percent": 1.5, "fee_fixed": 100})
        self.provider.clickpesa_fee_account_id = self.company_data[
            "default_account_expense"
        ]
        row = self._confirmed(
            self._invoice(150000).billpay_number_id, 150000, channel_id=channel.id
        )
        row.receipt = "QJK555AB9"
        self._post(row)
        told = {"reference": row.reference, "receipt": row.receipt}
        before, kept = self._books(), self._forget(row)
        [new] = self._post(self._confirmed("11229", 150000, **told), together=False)
        self.assertEqual(new.state, "posted", new.reason)
        self.assertEqual(new.account_payment_ids, kept)
        self.assertEqual(self._books(), before)

    def test_receipts_that_people_typed_are_linked(self):
        for index, memo in enumerate(
            (
                "M-Pesa QJKAAA1B%s",
                "receipt:qjkaaa1b%s, thanks",
                "QJKAAA1B%s",
                "(qjkaaa1b%s) Ada ya Machi",
            )
        ):
            with self.subTest(memo=memo):
                typed = self._by_hand(4000 + index, memo % index)
                move = self._invoice(4000 + index)
                before = self._books()
                row = self._confirmed(
                    move.billpay_number_id, 4000 + index, receipt=f"QJKAAA1B{index}"
                )
                self._post(row, together=False)
                self.assertEqual(row.state, "posted", row.reason)
                self.assertEqual(row.account_payment_ids, typed)
                self.assertEqual(self._books(), before)

    def test_what_waits_is_linked_when_somebody_has_typed_it(self):
        row = self._confirmed("1122000", 4000, receipt="QJK77788A")
        self._post(row, together=False)
        self.assertEqual(row.state, "unmatched")
        typed = self._by_hand(4000, "Simu: QJK77788A")
        before = self._books()
        self.env["billpay.ledger"].sudo()._bind_forgotten()
        self.assertEqual((row.state, row.account_payment_ids), ("posted", typed))
        self.assertEqual(self._books(), before)

    def test_one_that_cannot_be_linked_keeps_no_other(self):
        rows = self.env["billpay.payment"].sudo()
        for name in ("QJKJJJ1B1", "QJKJJJ1B2", "QJKJJJ1B3"):
            rows |= self._confirmed("1122000", 4000, receipt=name)
            self._post(rows[-1], together=False)
            self._by_hand(4000, name)
        booking = type(self.env["billpay.booking"])
        tell = booking._tell_bills

        def fail(service, payments):
            if payments == rows[1]:
                raise ValueError("This bill cannot be told.")
            return tell(service, payments)

        with patch.object(booking, "_tell_bills", fail), self.assertLogs(level="ERROR"):
            self.env["billpay.ledger"].sudo()._bind_forgotten()
        self.env.invalidate_all()
        self.assertEqual(rows.mapped("state"), ["posted", "unmatched", "posted"])
        self.assertFalse(rows[1].account_payment_ids)
        self.env["billpay.ledger"].sudo()._bind_forgotten()
        self.assertEqual(set(rows.mapped("state")), {"posted"})

    def test_another_customer_is_said(self):
        other = self.env["res.partner"].create({"name": "Juma"})
        typed = self._by_hand(4000, "QJK111222", partner_id=other.id)
        move = self._invoice(4000)
        row = self._confirmed(move.billpay_number_id, 4000, receipt="QJK111222")
        self._post(row, together=False)
        self.assertEqual((row.state, row.account_payment_ids), ("posted", typed))
        self.assertTrue(row.attention)
        self.assertIn("Juma", row.reason)
        self.assertEqual(move.amount_residual, 4000)

    def test_what_contradicts_waits_for_a_person(self):
        company = self.setup_other_company(name="Shule ya Pili")["company"]
        self._make_application(
            company
        ).clickpesa_client_id = self.provider.clickpesa_client_id
        for index, (amount, values) in enumerate(
            (
                (3900, {}),
                (4100, {}),
                (4000, {"post": False}),
            )
        ):
            with self.subTest(amount=amount, **values):
                receipt = f"QJKBBB1B{index}"
                self._by_hand(amount, receipt, **values)
                move = self._invoice(4000)
                before = self._books()
                row = self._confirmed(move.billpay_number_id, 4000, receipt=receipt)
                self._post(row, together=False)
                self.assertEqual(row.state, "unmatched")
                self.assertIn(receipt, row.reason)
                self.assertEqual(self._books(), before)
                # Whatever wakes it, it waits.
                self.env["billpay.ledger"].sudo()._bind_forgotten()
                row.sudo()._move_to("confirmed", False)
                self._post(row, together=False)
                self.assertEqual(row.state, "unmatched")
                # A person who has read of it may book it all the same.
                self.env["billpay.decision"]._match_by_hand(
                    row.with_user(self.clerk), [(move, 4000)], move.partner_id
                )
                self.assertBooked(row, 4000)

    def test_match_by_hand_does_not_book_it_twice(self):
        for index, amount in enumerate((4000, 4100)):
            row = self._confirmed("1122000", 4000, receipt=f"QJKCCC1B{index}")
            self._post(row, together=False)
            self.assertEqual(row.state, "unmatched")
            typed = self._by_hand(amount, row.receipt)
            move = self._invoice(4000)
            before = self._books()
            self.env["billpay.decision"]._match_by_hand(
                row.with_user(self.clerk), [(move, 4000)], move.partner_id
            )
            self.assertEqual(self._books(), before)
            if amount == 4000:
                self.assertEqual(
                    (row.state, row.account_payment_ids), ("posted", typed)
                )
            else:
                self.assertEqual(row.state, "unmatched")
                self.assertIn(typed.display_name, row.reason)

    def test_what_is_in_no_books_stands_in_no_way(self):
        for index, leave in enumerate(("cancel", "reverse", "vendor", "short")):
            with self.subTest(leave):
                receipt = f"QJKDDD1B{index}" if leave != "short" else "77"
                values = {}
                if leave == "vendor":
                    values = {"payment_type": "outbound", "partner_type": "supplier"}
                typed = self._by_hand(4000, receipt, **values)
                if leave == "cancel":
                    typed.action_cancel()
                elif leave == "reverse":
                    typed.move_id._reverse_moves().action_post()
                move = self._invoice(4000)
                row = self._confirmed(move.billpay_number_id, 4000, receipt=receipt)
                self._post(row)
                self.assertBooked(row, 4000)
                self.assertEqual(move.amount_residual, 0)

    def test_a_link_to_a_row_that_is_gone_is_let_go(self):
        # A restored backup of our tables alone gives ids a second time.
        row = self._confirmed(self._invoice(4000).billpay_number_id, 4000)
        self._post(row)
        kept = row.account_payment_ids
        move = self._invoice(6000)
        new = self._confirmed(move.billpay_number_id, 6000, receipt="QJKEEE1B1")
        self.env.flush_all()
        self.env.cr.execute(
            "UPDATE account_payment SET billpay_payment_id = %s WHERE id = %s",
            [new.id, kept.id],
        )
        self.env.invalidate_all()
        self._post(new)
        self.assertBooked(new, 6000)
        self.assertEqual(move.amount_residual, 0)
        self.assertFalse(kept.billpay_payment_id)

    def test_a_text_that_names_two_payments_is_of_its_own(self):
        row = self._confirmed(
            self._invoice(4000).billpay_number_id, 4000, receipt="QJKFFF1B1"
        )
        self._post(row)
        entry = row.account_payment_ids
        entry.sudo().memo = f"{entry.memo} QJKFFF1B2"
        move = self._invoice(4000)
        other = self._confirmed(move.billpay_number_id, 4000, receipt="QJKFFF1B2")
        self._post(other)
        self.assertBooked(other, 4000)
        self.assertEqual(row.account_payment_ids, entry)

    def test_the_question_uses_its_index(self):
        self.env.cr.execute("SET LOCAL enable_seqscan = off")
        words = self.env["account.payment"]._billpay_words
        self.env.cr.execute(
            f"EXPLAIN SELECT id FROM account_payment WHERE {words} && %s"
            " OR billpay_payment_id IN (1, 2)",
            [["QJKFFF1B1"]],
        )
        plan = "\n".join(line for (line,) in self.env.cr.fetchall())
        self.assertIn("account_payment_billpay_words_index", plan)

    def test_what_people_typed_settles_the_number(self):
        """The receipt of a part is typed on the invoice; then ClickPesa tells of it."""
        for index, (amount, part) in enumerate(
            ((9000, 4000), (9000, 8000), (9000, 9000))
        ):
            with self.subTest(part=part):
                move = self._invoice(amount)
                number = move.billpay_number_id
                typed = self._by_hand(part, f"QJKGGG1B{index}")
                (typed.move_id.line_ids | move.line_ids).filtered(
                    lambda line: line.account_id.account_type == "asset_receivable"
                ).reconcile()
                self.assertEqual(move.amount_residual, amount - part)
                row = self._confirmed(number, part, receipt=f"QJKGGG1B{index}")
                self._post(row, together=False)
                self.assertEqual(
                    (row.state, row.account_payment_ids), ("posted", typed)
                )
                # ClickPesa closes an order number with its payment.
                self.assertEqual(number.state, "paid")
                left = move.billpay_number_ids._living()
                self.assertEqual(
                    left.mapped("amount"), [amount - part] if amount > part else []
                )
                self.assertEqual(left.predecessor_id, number if left else left)
                self.assertEqual(move.amount_residual, amount - part)

    def test_what_people_typed_ends_the_checkout(self):
        """A clerk types the receipt of a checkout before ClickPesa tells of it."""
        method = self.env.ref("billpay_odoo.payment_method_billpay")
        for index, paid in enumerate((9000, 4000)):
            with self.subTest(paid=paid):
                tx = self.env["payment.transaction"].create(
                    {
                        "provider_id": self.provider.id,
                        "payment_method_id": method.id,
                        "reference": f"SO-typed-{index}",
                        "amount": 9000,
                        "currency_id": self.tzs.id,
                        "partner_id": self.partner.id,
                        "operation": "online_redirect",
                        "state": "pending",
                    }
                )
                number = tx.sudo()._billpay_reserve()
                typed = self._by_hand(paid, f"QJKHHH1B{index}")
                row = self._confirmed(number, paid, receipt=f"QJKHHH1B{index}")
                self._post(row, together=False)
                self.assertEqual(
                    (row.state, row.account_payment_ids), ("posted", typed)
                )
                self.assertEqual(number.state, "paid")
                self.assertEqual(typed.payment_transaction_id, tx)
                left = tx.sudo().billpay_number_ids._living()
                if paid == 9000:
                    self.assertEqual((tx.state, tx.payment_id), ("done", typed))
                    self.assertFalse(left)
                else:
                    self.assertEqual((tx.state, left.amount), ("pending", 5000))

    def test_what_is_linked_and_leaves_the_books_is_said(self):
        for index, leave in enumerate(("draft", "cancel", "reverse")):
            with self.subTest(leave):
                typed = self._by_hand(4000, f"QJKIII1B{index}")
                move = self._invoice(4000)
                row = self._confirmed(
                    move.billpay_number_id, 4000, receipt=f"QJKIII1B{index}"
                )
                self._post(row, together=False)
                self.assertEqual(row.account_payment_ids, typed)
                self.assertFalse(row.attention)
                if leave == "reverse":
                    typed.move_id._reverse_moves().action_post()
                else:
                    typed.action_draft()
                    if leave == "cancel":
                        typed.action_cancel()
                self.assertTrue(row.attention)
                self.assertIn("not in the books", row.reason)
                if leave == "draft":
                    typed.action_post()
                    self.assertFalse(row.attention, row.reason)
