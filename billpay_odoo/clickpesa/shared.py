# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The clients of this process, one per set of credentials."""

import os
import threading
from collections import OrderedDict

from .client import ClickPesaClient

LARGEST_CACHE = 32

_clients = OrderedDict()
_clients_lock = threading.Lock()


def get_client(base_url, client_id, api_key, checksum_key=""):
    """Return this process's client for these credentials.

    Connections and the token are reused as long as nothing changes; a changed key
    makes a new client and, with it, a new token. The process id is part of the key: a
    forked worker must not share its parent's connections.

    :raises InvalidConfiguration: the address or a credential cannot be used
    """
    key = (os.getpid(), base_url, client_id, api_key, checksum_key or "")
    with _clients_lock:
        client = _clients.get(key)
        if client is None:
            client = ClickPesaClient(base_url, client_id, api_key, checksum_key)
            _clients[key] = client
            if len(_clients) > LARGEST_CACHE:
                _clients.popitem(last=False)
        _clients.move_to_end(key)
        return client


def forget_clients():
    """Drop all shared clients, with their tokens (for tests)."""
    with _clients_lock:
        _clients.clear()
