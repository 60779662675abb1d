# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Talk to what runs: Odoo over its external API, the sandbox over HTTP."""

import json
import time
import urllib.error
import urllib.request
import xmlrpc.client

from .console import Problem

# Seconds after which a local answer will not come any more.
TIMEOUT = 120


class Odoo:
    """Odoo's external API, as any other program uses it.

    :param url: address without a slash at the end.
    """

    def __init__(self, url, database, login="admin", password="admin"):
        self.url, self.database, self.password = url, database, password
        self.company = None
        common = xmlrpc.client.ServerProxy(f"{url}/xmlrpc/2/common", allow_none=True)
        self.user = common.authenticate(database, login, password, {})
        if not self.user:
            raise Problem(f"Odoo does not let {login} in; was the password changed?")
        self._object = xmlrpc.client.ServerProxy(
            f"{url}/xmlrpc/2/object", allow_none=True
        )

    def call(self, model, method, *arguments, **options):
        """Call a method of a model, in the company set on this object."""
        context = {"lang": "en_US"}
        if self.company:
            context["allowed_company_ids"] = [self.company]
        options["context"] = {**context, **options.get("context", {})}
        try:
            return self._object.execute_kw(
                self.database,
                self.user,
                self.password,
                model,
                method,
                list(arguments),
                options,
            )
        except xmlrpc.client.Fault as fault:
            last = fault.faultString.strip().splitlines()[-1]
            raise Problem(f"Odoo refused {model}.{method}: {last}") from fault
        except OSError as error:
            raise Problem(f"Odoo does not answer: {error}") from error

    def find(self, model, domain, fields, **options):
        """Search and read."""
        return self.call(model, "search_read", domain, fields=fields, **options)

    def read(self, model, record, fields):
        """Read one record."""
        return self.call(model, "read", [record], fields)[0]

    def ref(self, xml_id):
        """Id of the record with an XML id."""
        module, _, name = xml_id.partition(".")
        domain = [("module", "=", module), ("name", "=", name)]
        found = self.find("ir.model.data", domain, ["res_id"])
        if not found:
            raise Problem(f"Odoo has no record {xml_id}.")
        return found[0]["res_id"]


def request(url, body=None):
    """GET, or POST of a JSON body; the decoded JSON answer."""
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json"} if data else {}
    asked = urllib.request.Request(url, data=data, headers=headers)
    # A proxy of this machine has no business with our own ports.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(asked, timeout=TIMEOUT) as answer:
            return json.loads(answer.read() or b"null")
    except urllib.error.HTTPError as error:
        text = error.read().decode(errors="replace")[:300]
        raise Problem(f"{url} answered {error.code}: {text}") from error
    except (OSError, ValueError) as error:
        raise Problem(f"{url}: {error}") from error


def until(found, seconds, what, every=0.2):
    """Ask again until there is a true answer.

    :param what: said when the time is over.
    """
    limit = time.monotonic() + seconds
    while True:
        answer = found()
        if answer:
            return answer
        if time.monotonic() > limit:
            raise Problem(f"{what}: not within {seconds} s")
        time.sleep(every)
