# SPDX-License-Identifier: LGPL-3.0-or-later
"""The query API for payments: by reference, and all with filters and paging.

ClickPesa API docs, pages "query payment" and "query all payments".
"""

import random
from datetime import datetime, timedelta, timezone

from .errors import ApiError

#: Only these five are filter values (ClickPesa API docs, payment status page).
FILTER_STATUSES = ("SUCCESS", "SETTLED", "PROCESSING", "PENDING", "FAILED")
#: Response field to the column that sorts like it.
SORTS = {
    "id": "id",
    "status": "status",
    "paymentReference": "receipt",
    "paymentPhoneNumber": "phone",
    "orderReference": "reference",
    "collectedAmount": "collected",
    "collectedCurrency": "currency",
    "message": "message",
    "channel": "channel",
    "createdAt": "created_at",
    "updatedAt": "updated_at",
    "clientId": "client_id",
}
EQUALS = {
    "status": "status",
    "collectedCurrency": "currency",
    "channel": "channel",
    "clientId": "client_id",
    "id": "id",
}
PARAMETERS = (
    "startDate",
    "endDate",
    *EQUALS,
    "orderReference",
    "search",
    "sortBy",
    "orderBy",
    "skip",
    "limit",
)
DEFAULT_LIMIT = 20


def by_reference(store, payments, reference):
    """List of payments with exactly this reference, newest first, or ApiError 404."""
    rows = store.all(
        "SELECT * FROM payment WHERE reference_key=?"
        " ORDER BY created_at DESC, seq DESC",
        (reference.upper(),),
    )
    if not rows:
        raise ApiError(404, f"Invalid or missing payment: {reference}")
    return [payments.view(row) for row in rows]


def every(store, payments, settings, values):
    """``{"data": […], "totalCount": n}`` for query parameters, or ApiError 400."""
    messages = [
        f"property {name} should not exist" for name in values if name not in PARAMETERS
    ]
    conditions, bound = [], []
    for name, column in EQUALS.items():
        if values.get(name):
            conditions.append(f"{column}=?")
            bound.append(values[name])
    if values.get("status") and values["status"] not in FILTER_STATUSES:
        messages.append(
            f"status must be one of the following values: {', '.join(FILTER_STATUSES)}"
        )
    if values.get("orderReference"):
        conditions.append("reference_key=?")
        bound.append(values["orderReference"].upper())
    if values.get("search"):
        columns = ("id", "reference", "receipt", "phone", "payer_name")
        conditions.append(
            "(" + " OR ".join(f"instr(upper({c}), ?) > 0" for c in columns) + ")"
        )
        bound += [values["search"].upper()] * len(columns)
    # Both days are included in full.
    for name, operator, days in (("startDate", ">=", 0), ("endDate", "<", 1)):
        if values.get(name):
            moment = _day(name, values[name], settings, messages)
            if moment is not None:
                conditions.append(f"created_at{operator}?")
                bound.append(moment + days * 86400)
    sort = values.get("sortBy") or "createdAt"
    way = settings.payments_order
    if sort not in SORTS or (way == "refused" and sort != "createdAt"):
        messages.append(
            f"sortBy must be one of the following values: {', '.join(SORTS)}"
        )
    order = values.get("orderBy") or "DESC"
    if order not in ("ASC", "DESC"):
        messages.append("orderBy must be one of the following values: ASC, DESC")
    skip = _whole("skip", values, 0, 0, messages)
    limit = _whole("limit", values, DEFAULT_LIMIT, 1, messages)
    if messages:
        raise ApiError(400, messages)
    if settings.max_page_size:
        limit = min(limit, settings.max_page_size)
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    total = store.value(f"SELECT count(*) FROM payment{where}", bound)
    if way in ("created", "oldest_first"):
        sort = "createdAt"
        order = order if way == "created" else "ASC"
    query = f"SELECT * FROM payment{where} ORDER BY {SORTS[sort]} {order}, seq {order}"
    if way in ("out_of_place", "shuffled"):
        rows = _disorder(store.all(query, bound), way)[skip : skip + limit]
    else:
        rows = store.all(f"{query} LIMIT ? OFFSET ?", (*bound, limit, skip))
    data = [payments.view(row) | {"exchanged": False} for row in rows]
    return {"data": data, "totalCount": total}


def _disorder(rows, way):
    """All rows in an order that nobody asked for, the same one at each call."""
    if way == "shuffled":
        random.Random(0).shuffle(rows)
    elif len(rows) > 2:
        rows.insert(1, rows.pop())
    return rows


def _day(name, text, settings, messages):
    """Seconds since 1970 at which the day ``text`` begins."""
    for form in ("%Y-%m-%d", "%d-%m-%Y"):
        try:
            day = datetime.strptime(text, form).replace(tzinfo=timezone.utc)
        except ValueError:
            continue
        zone = timedelta(hours=settings.filter_utc_offset_hours)
        return (day - zone).timestamp()
    messages.append(f"{name} must be a date in format YYYY-MM-DD or DD-MM-YYYY")
    return None


def _whole(name, values, default, least, messages):
    text = values.get(name)
    if text is None or text == "":
        return default
    # More digits than a database integer holds are a mistake, not a page.
    if text.isascii() and text.isdigit() and len(text) < 16 and int(text) >= least:
        return int(text)
    messages.append(f"{name} must not be less than {least}")
    return default
