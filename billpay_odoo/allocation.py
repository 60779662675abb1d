# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Which open bills a payment pays, as plain arithmetic.

Amounts are whole numbers of the currency's smallest unit. Nothing here knows Odoo.
"""

EXACT_OLDEST, OLDEST, CREDIT = "exact_oldest", "oldest", "credit"
# A payer who pays several bills at once pays few of them.
MOST_BILLS = 5
# How many open bills are looked at for an exact sum: with 200 of them the search
# takes at most some 1.3 million look-ups, a fraction of a second.
MOST_OPEN = 200


def oldest_first(amount, dues):
    """Pay bills in their order until the money is used up; return what each gets.

    :param list[int] dues: what each bill asks for, oldest first
    """
    given = []
    for due in dues:
        part = max(0, min(amount, due))
        amount -= part
        given.append(part)
    return given


def exact_bills(amount, dues, most=MOST_BILLS):
    """Find one to ``most`` bills that together ask for exactly ``amount``.

    The fewest bills win; of several ways with as many, the one whose newest bill is
    the oldest. Of very many bills only the oldest are looked at.

    :param list[int] dues: what each bill asks for, oldest first
    :return: list of positions in ``dues``, in order
    """
    if amount <= 0:
        return []
    bills = [(i, due) for i, due in enumerate(dues[:MOST_OPEN]) if 0 < due <= amount]
    largest = sorted((due for _i, due in bills), reverse=True)
    pairs = None
    for count in range(1, min(most, len(bills)) + 1):
        if sum(largest[:count]) < amount or sum(largest[-count:]) > amount:
            continue
        if count == 1:
            found = [i for i, (_n, due) in enumerate(bills) if due == amount][:1]
        else:
            pairs = _pairs(bills) if pairs is None else pairs
            found = _with_pairs(amount, bills, pairs, count - 2, len(bills))
        if found:
            return [bills[i][0] for i in found]
    return []


def _pairs(bills):
    """Return ``{sum: (i, j)}``, of equal sums the pair with the smallest j > i."""
    pairs = {}
    for j, (_n, second) in enumerate(bills):
        for i in range(j):
            pairs.setdefault(bills[i][1] + second, (i, j))
    return pairs


def _with_pairs(amount, bills, pairs, more, end):
    """Find a pair and ``more`` bills after it and before ``end`` that sum up."""
    if not more:
        pair = pairs.get(amount)
        return pair if pair and pair[1] < end else None
    if more == 1:
        # The innermost loop, written out: it runs up to a million times.
        for k in range(2, end):
            pair = pairs.get(amount - bills[k][1])
            if pair and pair[1] < k:
                return (*pair, k)
        return None
    for k in range(more + 1, end):
        rest = amount - bills[k][1]
        if rest > 0 and (found := _with_pairs(rest, bills, pairs, more - 1, k)):
            return (*found, k)
    return None
