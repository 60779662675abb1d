# SPDX-License-Identifier: LGPL-3.0-or-later
"""The web page."""

from flask import Blueprint

page = Blueprint("page", __name__)


@page.get("/")
def home():
    return "ClickPesa sandbox"
