# SPDX-License-Identifier: LGPL-3.0-or-later
"""What can be refused, and how it is said."""


class ApiError(Exception):
    """An answer of the ClickPesa API other than 2xx.

    ``message`` is a string for the plain envelope ``{"message": "…"}`` and a list for
    the validation envelope ``{"statusCode": …, "message": […], "error": "…"}``; both
    are in use (ClickPesa API docs, error responses of each endpoint).
    """

    TITLES = {400: "Bad Request", 404: "Not Found", 413: "Payload Too Large"}

    def __init__(self, status, message):
        super().__init__(message)
        self.status = status
        self.message = message

    @property
    def reason(self):
        """The message as one line, as bulk creation reports it per item."""
        if isinstance(self.message, list):
            return "; ".join(self.message)
        return self.message

    def body(self):
        if isinstance(self.message, list):
            return {
                "statusCode": self.status,
                "message": self.message,
                "error": self.TITLES.get(self.status, "Error"),
            }
        return {"message": self.message}


class SandboxError(Exception):
    """Somebody asked the simulator itself for something it cannot do."""


class PaymentRefused(SandboxError):
    """The payer's channel refuses the number or the amount.

    ``reason`` is a stable word: ``unknown``, ``inactive``, ``closed``, ``not_exact``,
    ``over_maximum``, ``channel_limit``, ``bad_amount`` or ``bad_phone``; the text is a
    sentence for people.
    """

    def __init__(self, reason, text):
        super().__init__(text)
        self.reason = reason
