# SPDX-License-Identifier: LGPL-3.0-or-later
"""The WSGI application."""

import secrets

from flask import Flask

from .api import api
from .control import control
from .page import page
from .sandbox import Sandbox


def create_app(sandbox=None):
    """Flask application round ``sandbox`` (a new one in memory if None).

    The sandbox is ``app.extensions["clickpesa_sandbox"]``.
    """
    app = Flask(__name__)
    # Only one-time messages of the page are signed with it.
    app.secret_key = secrets.token_bytes(16)
    app.json.sort_keys = False
    app.json.ensure_ascii = False
    app.json.compact = True
    app.extensions["clickpesa_sandbox"] = sandbox or Sandbox()
    app.register_blueprint(api)
    app.register_blueprint(control)
    app.register_blueprint(page)
    return app
