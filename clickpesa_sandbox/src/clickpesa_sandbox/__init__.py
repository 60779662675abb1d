# SPDX-License-Identifier: LGPL-3.0-or-later
"""A stateful simulator of the ClickPesa BillPay API."""

from .app import create_app
from .errors import ApiError, PaymentRefused, SandboxError
from .sandbox import Sandbox

__all__ = ["ApiError", "PaymentRefused", "Sandbox", "SandboxError", "create_app"]
__version__ = "0.1.0"
