# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What people look at, with a year of business in the database.

Each screen is loaded as the web client loads it: lists with all optional columns, forms
with all of their fields, pages over HTTP. It is loaded in a database with a tenth of
the data and with all of it: a screen must not make more statements when there is more
to find. A few records of each kind are made as people make them, with real numbers,
payments and entries; the others are copies, in the database.
"""

import re
import time
import urllib.parse
import urllib.request

from devtools.bench_results import Bar, Result, Row
from devtools.console import Problem, step
from devtools.services import SANDBOX

from .books import accountant, make_posted_invoices
from .posting import make_confirmed_payments
from .tasks import measured, task

NAME = "screens"
TITLE = "statements and time of each screen, and with ten times the data"
ADDONS = ("billpay_odoo", "billpay_odoo_pos")
# Of what there is beside so many numbers: as many payments, and of a thousand each …
INVOICES, CONTACTS = 200, 450
REAL = 40
ROUNDS = 5
PASSWORD = "bench-portal-1"
# Statements, as measured when this was written: with what is new they may not rise.
STATEMENTS = {
    "invoices, list": 12,
    "numbers, list": 10,
    "payments, list": 10,
    "contacts, list": 30,
    "invoice, form": 44,
    "number of an invoice, form": 13,
    "number of a customer, form": 20,
    "payment, form": 25,
    "contact, form": 57,
    "desk, figures": 6,
    "desk, list": 6,
    "suggestions": 22,
    "match, dialog": 30,
    "statement": 26,
    "till, load": 165,
    "pay page, invoice": 20,
    "pay page, customer": 14,
    "portal, invoices": 23,
    "portal, numbers": 19,
    "portal, number": 35,
}


def run(bed):
    few, many = (100, 1_000) if bed.quick else (1_000, 10_000)
    sandbox = bed.sandbox()
    with step("a database with add-on and till"):
        database = bed.with_addons(ADDONS)
        worker = bed.worker(database)
        worker.do("prepare_company")
        application = worker.do(
            "prepare_application", url=sandbox.url, credentials=SANDBOX
        )
        worker.do("prepare_screens", provider=application["id"])
    found = {}
    for size in (few, many):
        with step(f"{size:,} numbers and payments"):
            worker.do("fill_screens", size=size)
        with step("screens"):
            found[size] = worker.do("load_screens", rounds=ROUNDS)
            found[size] |= _pages(bed, database, worker.do("screen_addresses"))
    rows = [
        Row(name, tuple(seen["ms"]), seen["sql"]) for name, seen in found[many].items()
    ]
    bars = [
        Bar(f"{name}: SQL", seen["sql"], STATEMENTS[name])
        for name, seen in found[many].items()
        if name in STATEMENTS
    ]
    bars += [
        Bar(
            f"{name}: SQL with ten times the data",
            found[many][name]["sql"],
            seen["sql"],
        )
        for name, seen in found[few].items()
    ]
    return Result(
        NAME,
        "ms",
        tuple(rows),
        bars=tuple(bars),
        notes=(f"beside {few:,} and {many:,} numbers and payments",),
    )


# === PAGES === #


def _pages(bed, database, addresses):
    """Load the pages of payers over HTTP; what each took, and its statements."""
    server, found = bed.server(database), {}
    try:
        browser = _Browser(server.url)
        browser.log_in(addresses.pop("login"))
        for name, path in addresses.items():
            times = []
            for _round in range(ROUNDS + 2):
                start = time.perf_counter()
                browser.read(path)
                times.append(1000 * (time.perf_counter() - start))
            # The log does not tell the signature in the address of a pay page.
            known = path.rpartition("/")[0] if path.startswith("/billpay/") else path
            statements = server.queries(known)[-1]
            found[name] = {"sql": statements, "ms": times[2:]}
    finally:
        server.stop()
    return found


class _Browser:
    def __init__(self, url):
        self.url = url
        jar = urllib.request.HTTPCookieProcessor()
        self._open = urllib.request.build_opener(jar).open

    def read(self, path, **form):
        body = urllib.parse.urlencode(form).encode() if form else None
        with self._open(self.url + path, body, timeout=60) as answer:
            return answer.read().decode()

    def log_in(self, login):
        page = self.read("/web/login")
        token = re.search(r'name="csrf_token" value="([^"]+)"', page)[1]
        page = self.read("/web/login", login=login, password=PASSWORD, csrf_token=token)
        if "oe_login_form" in page:
            raise Problem("the portal user could not log in")


# === DATA === #


@task
def prepare_screens(env, provider):
    """Make a few records of each kind as people make them."""
    sudo = env
    env = accountant(env)
    company = env.company
    purposes = env["billpay.purpose"].create(
        [
            {"name": name, "company_id": company.id, "default_amount": 150_000}
            for name in ("Bench tuition", "Bench hostel")
        ]
    )
    partners = env["res.partner"].search([("name", "like", "Bench customer")])
    for number, partner in enumerate(partners):
        partner.write(
            {
                "email": f"bench{number}@example.com",
                "phone": f"+2557120{number:05d}",
                "parent_id": partners[number - 1].id if number % 3 == 2 else False,
            }
        )
    for purpose in purposes:
        purpose.sudo()._reserve(partners)
    made = make_posted_invoices(sudo, REAL)
    cards = sudo["billpay.control.number"].search([("purpose_id", "in", purposes.ids)])
    # Half of the invoices, and some of the cards, are paid; some money is nobody's.
    paid = made["numbers"][: REAL // 2] + cards[: REAL // 2].mapped("name")
    make_confirmed_payments(sudo, provider, paid)
    stranger = sudo["billpay.payment"].search([("state", "=", "confirmed")], limit=1)
    sudo["billpay.payment"]._cron_process_payments()
    sudo["res.users"].create(
        {
            "name": "Bench parent",
            "login": "bench_parent",
            "password": PASSWORD,
            "company_id": company.id,
            "company_ids": [(6, 0, company.ids)],
            "partner_id": partners[0].id,
            "group_ids": [(6, 0, env.ref("base.group_portal").ids)],
        }
    )
    states = sudo["billpay.payment"]._read_group([], ["state"], ["__count"])
    if dict(states) != {"posted": REAL}:
        raise ValueError(f"the payments are not posted: {states}, {stranger.reason}")
    sudo.cr.commit()
    _open_till(env)
    sudo.cr.commit()


def _open_till(env):
    journal = env["account.journal"].create(
        {"name": "Bench cash", "type": "cash", "code": "BCASH"}
    )
    cash = env["pos.payment.method"].create({"name": "Cash", "journal_id": journal.id})
    till = env["pos.config"].create(
        {"name": "Bench till", "payment_method_ids": [(6, 0, cash.ids)]}
    )
    till.billpay = True
    till.open_ui()
    till.current_session_id.set_opening_control(0, "")


@task
def fill_screens(env, size):
    """Copy what there is until so many numbers and payments are there."""
    wanted = size * CONTACTS // 1000
    company = accountant(env).company
    partners = env["res.partner"]
    first = partners.search([("name", "=", "Bench customer 1")])
    pupils = [("name", "like", "Bench pupil")]
    have = partners.search_count(pupils)
    made = _copies(
        env,
        "res_partner",
        first.id,
        range(have, wanted),
        name="'Bench pupil ' || n",
        complete_name="'Bench pupil ' || n",
        email="'pupil' || n || '@example.com'",
        email_normalized="'pupil' || n || '@example.com'",
        phone="'+2557' || lpad(n::text, 8, '0')",
    )
    env.cr.execute(
        "UPDATE res_partner SET commercial_partner_id = id WHERE id = ANY(%s)",
        (made,),
    )
    # What was made by people is looked at: it gets nothing more.
    contacts = partners.search(pupils, order="id").ids
    numbers = env["billpay.control.number"]
    invoices = size * INVOICES // 1000
    known = env["account.move"].search_count(
        [("move_type", "=", "out_invoice"), ("company_id", "=", company.id)]
    )
    new = max(invoices - known, 0) // 2
    _copy_invoices(env, True, new, contacts)
    _copy_invoices(env, False, new, contacts)
    # The rest of the numbers are customers' own, and the rest of the payments theirs.
    for purpose in env["billpay.purpose"].search([("name", "like", "Bench")]):
        having = numbers.search([("purpose_id", "=", purpose.id)]).partner_id
        left = max(size - numbers.search_count([]), 0)
        _copy_cards(env, purpose, sorted({*contacts} - {*having.ids})[:left])
    left = size - env["billpay.payment"].search_count([])
    _copy_payments(env, max(left, 0))
    env.cr.commit()
    env.invalidate_all()
    if (there := numbers.search_count([])) < size * 0.9:
        raise ValueError(f"{there} numbers instead of {size}")
    env.cr.execute("ANALYZE")
    env.cr.commit()


def _copies(env, table, source, items, **values):
    """Copy a row once for each item, which the SQL expressions know as ``n``."""
    env.flush_all()
    env.cr.execute(
        "SELECT column_name FROM information_schema.columns WHERE table_name = %s"
        " AND is_generated = 'NEVER' AND column_name != 'id' ORDER BY ordinal_position",
        (table,),
    )
    columns = [name for (name,) in env.cr.fetchall()]
    missing = set(values) - set(columns)
    if missing:
        raise ValueError(f"{table} has no {missing}")
    named = ", ".join(f'"{name}"' for name in columns)
    selected = ", ".join(values.get(name) or f't."{name}"' for name in columns)
    env.cr.execute(
        f"INSERT INTO {table} ({named}) SELECT {selected} FROM {table} t,"
        " unnest(%s::int[]) WITH ORDINALITY AS items(n, i) WHERE t.id = %s"
        " ORDER BY i RETURNING id",
        (list(items), source),
    )
    env.invalidate_all()
    return [row for (row,) in env.cr.fetchall()]


# What no two rows may share.
_UNIQUE = "nextval('billpay_event_id_seq')"
_DIGITS = f"'11229' || lpad({_UNIQUE}::text, 10, '0')"


def _copy_invoices(env, paid, count, contacts):
    """Copy an invoice and its number, for one customer after the other."""
    source = env["billpay.control.number"].search(
        [("move_id", "!=", False), ("state", "=", "paid" if paid else "pending")],
        order="id",
        limit=1,
    )
    owners = [contacts[n % len(contacts)] for n in range(count)]
    moves = _copies(
        env,
        "account_move",
        source.move_id.id,
        owners,
        name=f"'BENCH/' || {_UNIQUE}",
        partner_id="n",
        commercial_partner_id="n",
        # Odoo looks for twins: of one customer, day and amount.
        invoice_date=f"t.invoice_date - mod({_UNIQUE}, 360)::int",
        access_token="NULL",
    )
    _copy_lines(env, source.move_id, moves)
    _copies(
        env,
        "billpay_control_number",
        source.id,
        moves,
        name=_DIGITS,
        move_id="n",
        partner_id=f"({_select('account_move', 'partner_id')})",
        bill_key="'invoice:' || n",
        state="t.state" if paid else "'open'",
        sync_at="NULL",
        confirmed_at="now()",
    )


def _select(table, column):
    return f"SELECT {column} FROM {table} WHERE id = n"


def _copy_lines(env, source, moves):
    for line in source.line_ids:
        _copies(
            env,
            "account_move_line",
            line.id,
            moves,
            move_id="n",
            move_name=f"({_select('account_move', 'name')})",
            partner_id=f"({_select('account_move', 'partner_id')})",
        )


def _copy_cards(env, purpose, contacts):
    source = env["billpay.control.number"].search(
        [("purpose_id", "=", purpose.id)], order="id", limit=1
    )
    _copies(
        env,
        "billpay_control_number",
        source.id,
        contacts,
        name=_DIGITS,
        partner_id="n",
        bill_key=f"'purpose:' || n || ':{purpose.id}'",
        state="'open'",
        sync_at="NULL",
        confirmed_at="now()",
    )


def _copy_payments(env, count):
    """Copy payments with their entries: of invoices, of cards, and some of nobody."""
    payments = env["billpay.payment"]
    unpaid = """
        SELECT number.id FROM billpay_control_number number
     LEFT JOIN billpay_payment payment ON payment.control_number_id = number.id
         WHERE payment.id IS NULL AND number.name LIKE '11229%%' AND number.{}
         ORDER BY number.id LIMIT %s
    """
    for kind in ("order", "customer"):
        having = "state = 'paid'" if kind == "order" else "kind = 'customer'"
        env.cr.execute(unpaid.format(having), (count,))
        numbers = [row for (row,) in env.cr.fetchall()]
        if kind == "customer":
            left = count * 95 // 100
            numbers = (numbers * (1 + left // max(len(numbers), 1)))[:left]
        count -= len(numbers)
        source = payments.search(
            [("control_number_id.kind", "=", kind), ("state", "=", "posted")],
            order="id",
            limit=1,
        )
        of_number = "(SELECT {} FROM billpay_control_number WHERE id = n)"
        rows = _copy_rows(
            env,
            source,
            numbers,
            control_number_id="n",
            number=of_number.format("name"),
            move_id=of_number.format("move_id"),
            partner_id=of_number.format("partner_id"),
        )
        booked = source.account_payment_ids[:1]
        entries = _copies(
            env,
            "account_payment",
            booked.id,
            rows,
            billpay_payment_id="n",
            partner_id=f"({_select('billpay_payment', 'partner_id')})",
            move_id="NULL",
        )
        moves = _copies(
            env,
            "account_move",
            booked.move_id.id,
            entries,
            name=f"'BENCHPAY/' || {_UNIQUE}",
            origin_payment_id="n",
            partner_id=f"({_select('account_payment', 'partner_id')})",
        )
        env.cr.execute(
            "UPDATE account_payment SET move_id = move.id FROM account_move move"
            " WHERE move.origin_payment_id = account_payment.id AND move.id = ANY(%s)",
            (moves,),
        )
        _copy_lines(env, booked.move_id, moves)
    _copy_rows(
        env,
        source,
        range(count),
        control_number_id="NULL",
        number="'1122' || n",
        state="'unmatched'",
        reason="'No control number has these digits.'",
        move_id="NULL",
        partner_id="NULL",
        purpose_id="NULL",
        posted_at="NULL",
    )


def _copy_rows(env, source, items, **values):
    return _copies(
        env,
        "billpay_payment",
        source.id,
        items,
        reference=f"{_UNIQUE} || 'LCPBENCH'",
        reference_key=f"{_UNIQUE} || 'LCPBENCH'",
        receipt=f"'RB' || {_UNIQUE}",
        receipt_key=f"'RB' || {_UNIQUE}",
        **values,
    )


# === SCREENS === #


@task
def load_screens(env, rounds):
    """Load each screen as the web client does; statements and ms of each."""
    env = accountant(env)
    found = {}
    for name, load in _screens(env).items():
        seen = []
        for _round in range(rounds + 2):
            with measured(env) as taken:
                load()
            env.cr.rollback()
            seen.append(taken)
        # The least: what the server keeps in its caches may have been asked anew.
        found[name] = {
            "sql": min(taken.sql for taken in seen),
            "ms": [1000 * taken.seconds for taken in seen[2:]],
        }
    return found


def _screens(env):
    payments = env["billpay.payment"]
    numbers = env["billpay.control.number"]

    def oldest(records, *domain):
        """The same one, however many come after it."""
        return records.search(list(domain), order="id", limit=1)

    booked = oldest(payments, ("state", "=", "posted"))
    stranger = oldest(payments, ("state", "=", "unmatched"))
    card = oldest(numbers, ("kind", "=", "customer"), ("payment_ids", "!=", False))
    order = oldest(numbers, ("move_id", "!=", False), ("state", "=", "paid"))
    invoices = [("move_type", "=", "out_invoice")]

    def listed(model, domain=(), view=None):
        view_id = view and env.ref(view).id
        spec = _specification(env, model, "list", view_id)
        # Counted, as wherever there is more than a page.
        records = env[model].with_context(force_search_count=True)
        return lambda: records.web_search_read(list(domain), spec, limit=80)

    def form(record, view=None):
        view_id = view and env.ref(view).id
        spec = _specification(env, record._name, "form", view_id)
        return lambda: record.web_read(spec)

    def match():
        action = stranger.action_open_match()
        wizard = env[action["res_model"]].browse(action["res_id"])
        wizard.web_read(_specification(env, wizard._name, "form", None))

    session = oldest(env["pos.session"], ("state", "=", "opened"))
    return {
        "invoices, list": listed(
            "account.move", invoices, "account.view_out_invoice_tree"
        ),
        "numbers, list": listed("billpay.control.number"),
        "payments, list": listed("billpay.payment"),
        "contacts, list": listed("res.partner"),
        "invoice, form": form(order.move_id, "account.view_move_form"),
        "number of an invoice, form": form(order),
        "number of a customer, form": form(card),
        "payment, form": form(booked),
        "contact, form": form(card.partner_id),
        "desk, figures": payments.retrieve_desk,
        "desk, list": listed("billpay.payment", payments._todo_domain()),
        "suggestions": lambda: env["billpay.suggestion"]._suggest(stranger),
        "match, dialog": match,
        "statement": lambda: env["billpay.statement"]._statement(card),
        "till, load": lambda: session.load_data([]),
    }


def _specification(env, model, kind, view_id):
    """Return what the web client asks of the records that a view shows."""
    from lxml import etree

    view = env[model].get_view(view_id, kind)
    return _fields_of(env, model, etree.fromstring(view["arch"]))


def _fields_of(env, model, tree):
    spec = {}
    for node in tree.iterdescendants("field"):
        # A field below another one belongs to the records that that one shows.
        if next(node.iterancestors("field", tree.tag)) is not tree:
            continue
        field = env[model]._fields[node.get("name")]
        if field.type in ("many2one", "reference"):
            wanted = {"fields": {"display_name": {}}}
        elif field.relational:
            shown = next(
                (child for child in node if child.tag in ("list", "kanban")), None
            )
            inner = (
                {"display_name": {}}
                if shown is None
                else _fields_of(env, field.comodel_name, shown)
            )
            wanted = {"fields": inner, "limit": 40, "order": ""}
        else:
            wanted = {}
        spec[field.name] = wanted
    return {**spec, "display_name": {}}


@task
def screen_addresses(env):
    """Return the pages of payers, by name, and who logs in to see them."""
    user = env["res.users"].search([("login", "=", "bench_parent")])
    numbers = env["billpay.control.number"]
    card = numbers.search(
        [("partner_id", "=", user.partner_id.id), ("kind", "=", "customer")],
        order="id",
        limit=1,
    )
    order = numbers.search(
        [("move_id", "!=", False), ("state", "in", ("open", "pending"))],
        order="id",
        limit=1,
    )
    order.write({"state": "open", "sync_at": False})
    page = env["billpay.pay.page"]
    env.cr.commit()
    return {
        "login": user.login,
        "pay page, invoice": page._get_pay_path(order),
        "pay page, customer": page._get_pay_path(card),
        "portal, invoices": "/my/invoices",
        "portal, numbers": "/my/billpay",
        "portal, number": f"/my/billpay/{card.id}",
    }
