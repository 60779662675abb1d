# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

import pytest
from hypothesis import given
from hypothesis import strategies as st
from plain.likeness import (
    EXTRA,
    MISSING,
    REPLACED,
    SWAPPED,
    ZEROS,
    name_likeness,
    nearly_same_receipt,
    neighbours,
    slip,
    with_zeros,
)


@pytest.mark.parametrize(
    ("typed", "meant", "kind"),
    [
        ("12354", "12345", SWAPPED),
        ("12346", "12345", REPLACED),
        ("1245", "12345", MISSING),
        ("123345", "12345", EXTRA),
        ("12345", "0012345", ZEROS),
        ("0012345", "12345", ZEROS),
        ("١٢٣٥٤", "1234 5", SWAPPED),
        ("cust001", "CUST002", REPLACED),
        ("12345", "12345", None),
        ("12345", "54321", None),
        ("12345", "00000012345", None),
    ],
)
def test_slips(typed, meant, kind):
    assert slip(typed, meant) == kind
    assert (meant.replace(" ", "") in neighbours(typed)) is bool(kind)


def test_zeros_that_a_sheet_has_dropped():
    assert with_zeros("12") == ["012", "0012", "00012", "000012"]
    assert set(with_zeros("12")) <= neighbours("12")


@given(number=st.text("0123456789AB", min_size=1, max_size=20))
def test_every_neighbour_is_one_slip_away(number):
    for other in neighbours(number):
        assert slip(number, other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("8C12O9KQ41", "8C1209KQ41"),
        ("QWO12345", "qw0-12345"),
        ("8CI2X9KQ4L", "8C12X9KQ41"),
        ("8C12X9KQ41", "C812X9KQ41"),
        ("8C12X9KQ41", "8C12X9KQ14"),
        ("8C12X9KQ41", "8C12X9KQ4"),
        ("8C12X9KQ41", "8C12X9KQQ41"),
        ("REF8C12X9KQ41", "8C12X9KQ41"),
    ],
)
def test_receipts_that_are_nearly_the_same(one, other):
    assert nearly_same_receipt(one, other)
    assert nearly_same_receipt(other, one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("8C12X9KQ41", "8c12-x9kq-41"),  # the same
        ("8C12X9KQ41", "8C12X9KQ42"),  # the operator's next
        ("8C12X9KQ41", "7D33X9KQ41"),
        ("1234", "1243"),
        ("", "8C12X9KQ41"),
        (None, None),
    ],
)
def test_receipts_that_are_not_nearly_the_same(one, other):
    assert not nearly_same_receipt(one, other)
    assert not nearly_same_receipt(other, one)


@pytest.mark.parametrize(
    ("one", "other", "least", "most"),
    [
        ("ASHA JUMA", "Juma Asha", 1, 1),
        ("ASHA JUMA ALLY", "Asha Juma", 1, 1),
        ("Ng’ombe Asha", "NGOMBE ASHA", 1, 1),
        ("محمد علي", "علي محمد", 1, 1),
        ("محمد علي", "فاطمة حسن", 0, 0.5),
        ("ASHA", "Asha Juma", 0.7, 0.7),
        ("", "Asha", 0, 0),
    ],
)
def test_likeness_of_names(one, other, least, most):
    assert least <= name_likeness(one, other) <= most
