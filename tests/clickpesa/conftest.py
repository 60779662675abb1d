# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Load the client by itself: importing the add-on around it would need Odoo."""

import importlib.util
import sys
from pathlib import Path

import pytest
from hypothesis import settings

FOLDER = Path(__file__).resolve().parents[2] / "billpay_odoo" / "clickpesa"


def load_client():
    if "clickpesa" not in sys.modules:
        spec = importlib.util.spec_from_file_location(
            "clickpesa",
            FOLDER / "__init__.py",
            submodule_search_locations=[str(FOLDER)],
        )
        module = importlib.util.module_from_spec(spec)
        sys.modules["clickpesa"] = module
        spec.loader.exec_module(module)


load_client()

# Busy machines are slow; a failing example is printed, so nothing needs to be kept.
settings.register_profile("clickpesa", deadline=None, database=None)
settings.load_profile("clickpesa")


@pytest.fixture
def gateway():
    from fake_gateway import FakeGateway

    gateway = FakeGateway()
    yield gateway
    gateway.close()


@pytest.fixture
def connect(gateway):
    """Make clients of ``gateway`` that note their waits in ``naps`` and never sleep."""
    from clickpesa import ClickPesaClient

    def make(checksum_key="", **options):
        naps = []
        options = {"timeout": (2, 2), "sleep": naps.append, **options}
        client = ClickPesaClient(
            options.pop("base_url", gateway.url),
            options.pop("client_id", "IDclient"),
            options.pop("api_key", "SKapi-key-secret"),
            checksum_key,
            **options,
        )
        client.naps = naps
        return client

    return make
