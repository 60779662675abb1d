# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""./dev demo --once: the main job without hands, one line of evidence per step."""

from .billing import timed
from .console import Problem, say


def main_job(billing):
    """An invoice paid by webhook, then one whose webhook is lost.

    :raise Problem: naming the step that failed.
    """
    say()
    with_webhook = Job(billing, "webhook", 45_000)
    with_webhook.issue()
    with_webhook.pay(deliver=True)
    with_webhook.wait()
    lost = Job(billing, "lost webhook", 120_500)
    lost.issue()
    lost.pay(deliver=False)
    lost.step("poll", lambda: billing.poll(), "the scheduled action ran")
    lost.wait()


class Job:
    """One invoice on its way; a Problem names the step it happened in."""

    def __init__(self, billing, title, amount):
        self.billing, self.title, self.amount = billing, title, amount

    def step(self, name, work, text=None):
        """Do one step and say what it brought."""
        try:
            result, seconds = timed(work)
        except Problem as problem:
            raise Problem(f"step failed: {self.title}: {name}: {problem}") from problem
        shown = text(result) if callable(text) else text
        say(f" ok {self.title}: {name}: {shown} ({seconds:.1f} s)")
        return result

    def issue(self):
        """Create and post the invoice, wait for its number."""
        billing = self.billing
        self.move = self.step(
            "invoice posted",
            lambda: billing.invoice(self.amount, f"Goods ({self.title})"),
            lambda move: f"{self._name(move)}, TZS {self.amount}",
        )
        self.number = self.step(
            "number confirmed",
            lambda: billing.confirmed_number(self.move),
            lambda number: f"control number {number}",
        )

    def _name(self, move):
        return self.billing.odoo.read("account.move", move, ["name"])["name"]

    def pay(self, deliver):
        """Pay as the customer does."""
        billing = self.billing
        self.payment = self.step(
            "paid at the sandbox",
            lambda: billing.pay(self.number, self.amount, deliver=deliver),
            lambda payment: f"payment {payment['id']}",
        )

    def wait(self):
        """Wait until Odoo has booked and reconciled it."""

        def paid():
            found = self.billing.paid(self.move)
            if found["reference"] != self.payment["id"]:
                raise Problem(f"booked {found['reference']} instead")
            return found

        self.step(
            "invoice paid",
            paid,
            lambda found: (
                f"number {self.number}, payment {found['reference']}, entry "
                f"{found['entry']}, state {found['payment_state']}, residual "
                f"{found['amount_residual']:g}"
            ),
        )
