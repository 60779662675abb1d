# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""A network and a gateway at their worst: retries, tokens, limits, secrets."""

import logging
import pickle
import socket
import threading
import time
import traceback

import clickpesa
import clickpesa.transport
import pytest
import requests
from clickpesa import (
    AuthenticationRefused,
    ClickPesaClient,
    ClickPesaError,
    InvalidConfiguration,
    NumberRequest,
    OutcomeUnknown,
    RateLimited,
    Refused,
    Unavailable,
    forget_clients,
    get_client,
    mask,
)
from fake_gateway import answer, drip, drop, half, reset, stall

REQUEST = NumberRequest("A1", 500)
MADE = answer(200, {"billPayNumber": "A1", "billPayNumbers": ["A1"]})
NO_TOKEN = answer(401, {"message": "Unauthorized"})


@pytest.fixture
def closed_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        yield probe.getsockname()[1]  # bound but not listening: refused


@pytest.mark.parametrize("trouble", [drop, reset, half, stall(0.6), drip])
def test_a_broken_exchange(gateway, connect, trouble):
    client = connect(timeout=(1, 0.3), patience=0)
    client.token()
    gateway.replies = [trouble]
    with pytest.raises(Unavailable):
        client.get_number("A1")
    started = time.monotonic()
    with pytest.raises(OutcomeUnknown) as caught:
        client.create_order_numbers([REQUEST])
    assert "may have been carried out" in caught.value.message
    with pytest.raises(OutcomeUnknown):
        client.update_number("A1", active=False)
    assert time.monotonic() - started < 3
    assert len(gateway.calls()) == 3


def test_nobody_listening_means_nothing_happened(gateway, connect, closed_port):
    client = connect(patience=0)
    client.token()
    client._transport.base_url = f"http://127.0.0.1:{closed_port}/third-parties"
    with pytest.raises(Unavailable) as caught:
        client.create_order_numbers([REQUEST])
    assert "no connection" in caught.value.message


def test_an_unknown_host(connect):
    client = connect(base_url="https://no-such-host.invalid/third-parties", patience=0)
    with pytest.raises(Unavailable) as caught:
        client.token()
    assert "no-such-host.invalid" in caught.value.message


def test_plain_http_where_tls_is_expected(gateway, connect):
    client = connect(
        base_url=gateway.url.replace("http:", "https:"), patience=0, timeout=(0.3, 0.3)
    )
    with pytest.raises(Unavailable):
        client.token()


def test_an_answer_that_never_ends(gateway, connect, monkeypatch):
    monkeypatch.setattr(clickpesa.transport, "LARGEST_ANSWER", 100_000)
    gateway.replies = [answer(200, b"[" + b" " * 200_000 + b"]")]
    client = connect(patience=0)
    with pytest.raises(Unavailable):
        client.payments("A1")
    with pytest.raises(OutcomeUnknown):
        client.create_order_numbers([REQUEST])


def test_reads_are_retried(gateway, connect):
    gateway.replies = [drop, answer(503), answer(429), answer(200, [])]
    client = connect()
    assert client.payments("A1") == []
    assert client.naps == [1, 2, 4] and len(gateway.calls()) == 4


def test_reads_give_up(gateway, connect):
    gateway.replies = [answer(503)]
    client = connect()
    with pytest.raises(Unavailable):
        client.payments("A1")
    assert client.naps == [1, 2, 4] and len(gateway.calls()) == 4


def test_refusals_are_not_retried(gateway, connect):
    gateway.replies = [answer(400, {"message": "no"})]
    client = connect()
    with pytest.raises(Refused):
        client.get_number("A1")
    assert client.naps == [] and len(gateway.calls()) == 1


def test_the_token_call_is_retried(gateway, connect):
    good = answer(200, {"token": "Bearer good"})
    gateway.tokens = [drop, answer(500), good]
    client = connect()
    assert client.token() == "Bearer good" and client.naps == [1, 2]


@pytest.mark.parametrize("patience", [0, 3])
def test_patience(gateway, connect, patience):
    now = [0.0]
    naps = []

    def sleep(seconds):
        naps.append(seconds)
        now[0] += seconds

    gateway.replies = [answer(503)]
    client = connect(clock=lambda: now[0], sleep=sleep)
    with pytest.raises(Unavailable):
        client.gated(None, patience=patience).payments("A1")
    assert naps == ([] if patience == 0 else [1])
    assert sum(naps) <= patience


def test_a_wait_beyond_patience_is_left_to_the_caller(gateway, connect):
    gateway.replies = [answer(429, b"", [("Retry-After", "60")]), answer(200, [])]
    client = connect()
    with pytest.raises(RateLimited) as caught:
        client.payments("A1")
    assert caught.value.retry_after == 60 and client.naps == []


def test_retries_have_only_the_time_that_is_left(gateway, connect):
    gateway.replies = [answer(503), stall(5)]
    client = connect(timeout=(5, 30), patience=1.5, sleep=lambda seconds: None)
    started = time.monotonic()
    with pytest.raises(Unavailable):
        client.payments("A1")
    assert time.monotonic() - started < 3


def test_connections_and_token_are_reused(gateway, connect):
    gateway.replies = [answer(200, [])]
    client = connect()
    for _ in range(5):
        client.payments("A1")
    assert gateway.connections == 1 and len(gateway.token_calls()) == 1


def test_an_error_answer_gives_its_connection_back(gateway, connect):
    gateway.replies = [answer(404, {"message": "none"})]
    client = connect()
    for _ in range(5):
        client.payments("A1")
    assert gateway.connections == 1


def test_cookies_are_not_kept(gateway, connect):
    gateway.replies = [answer(200, [], [("Set-Cookie", "a=b; Path=/")])]
    client = connect()
    client.payments("A1")
    client.payments("A1")
    assert all("cookie" not in call.headers for call in gateway.requests)


def test_a_netrc_entry_does_not_replace_the_token(
    gateway, connect, monkeypatch, tmp_path
):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    gateway.replies = [answer(200, [])]
    connect().payments("A1")
    assert gateway.calls()[0].headers["authorization"] == "Bearer token-number-1"
    assert "authorization" not in gateway.token_calls()[0].headers


# ------------------------------------------------------------------------ token


def test_the_token_is_renewed_shortly_before_it_expires(gateway, connect):
    now = [1000.0]
    client = connect(clock=lambda: now[0])
    assert client.token() == "Bearer token-number-1"
    now[0] += 3299
    assert client.token() == "Bearer token-number-1"
    now[0] += 1
    assert client.token() == "Bearer token-number-2"
    assert client.token(force=True) == "Bearer token-number-3"


@pytest.mark.parametrize("write", [True, False])
def test_a_401_renews_the_token_once(gateway, connect, write):
    gateway.replies = [NO_TOKEN, MADE]
    client = connect()
    if write:
        assert client.create_order_numbers([REQUEST]).created == ("A1",)
    else:
        assert client.get_number("A1").number == "A1"
    first, second = gateway.calls()
    assert first.headers["authorization"] == "Bearer token-number-1"
    assert second.headers["authorization"] == "Bearer token-number-2"
    assert first.body == second.body and client.naps == []


def test_a_second_401_is_final(gateway, connect):
    gateway.replies = [NO_TOKEN]
    client = connect()
    with pytest.raises(AuthenticationRefused) as caught:
        client.create_order_numbers([REQUEST])
    assert caught.value.status == 401
    assert len(gateway.calls()) == 2 and len(gateway.token_calls()) == 2
    gateway.replies = [MADE]
    client.create_order_numbers([REQUEST])  # starts over with a fresh token
    assert len(gateway.token_calls()) == 3


def test_after_a_401_a_write_that_breaks_is_not_repeated(gateway, connect):
    gateway.replies = [NO_TOKEN, drop, MADE]
    with pytest.raises(OutcomeUnknown):
        connect().create_order_numbers([REQUEST])
    assert len(gateway.calls()) == 2


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (403, "Invalid client details"),
        (403, "Invalid or Expired API-Key"),
        (401, "Unauthorized"),
    ],
)
def test_refused_credentials(gateway, connect, status, message):
    gateway.tokens = [answer(status, {"message": message})]
    client = connect()
    with pytest.raises(AuthenticationRefused) as caught:
        client.create_order_numbers([REQUEST])
    assert caught.value.message == message and caught.value.status == status
    assert not gateway.calls() and client.naps == []


def test_no_api_at_the_address(gateway, connect):
    gateway.tokens = [answer(404, b"<html>")]
    with pytest.raises(InvalidConfiguration):
        connect().payments("A1")


def test_a_token_that_cannot_be_fetched_is_unavailable_also_for_a_write(
    gateway, connect
):
    gateway.tokens = [drop]
    with pytest.raises(Unavailable):
        connect(patience=0).create_order_numbers([REQUEST])


def test_a_checksum_refusal_asks_for_a_fresh_token_next_time(gateway, connect):
    gateway.replies = [answer(400, {"message": ["Invalid checksum"]}), MADE]
    client = connect("some-checksum-key")
    with pytest.raises(clickpesa.ChecksumRefused):
        client.create_order_numbers([REQUEST])
    client.create_order_numbers([REQUEST])
    assert len(gateway.token_calls()) == 2


def together(count, work):
    """Run ``work`` in threads at one moment; return results and errors."""
    barrier, results = threading.Barrier(count), []

    def run():
        barrier.wait()
        try:
            results.append(work())
        except ClickPesaError as error:
            results.append(error)

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(results) == count
    return results


def slow_token(value, seconds=0.2):
    def per_request(request):
        time.sleep(seconds)
        return answer(200, {"token": value})

    return per_request


def test_one_token_call_for_many_threads(gateway, connect):
    gateway.tokens = [slow_token("Bearer shared")]
    client = connect()
    assert set(together(16, client.token)) == {"Bearer shared"}
    assert len(gateway.token_calls()) == 1


def test_one_renewal_for_many_401s(gateway, connect):
    client = connect()
    old = client.token()

    def per_token(request):
        stale = request.headers["authorization"] == old
        return NO_TOKEN if stale else answer(200, [])

    gateway.replies = [per_token]
    gateway.tokens = [slow_token("Bearer renewed")]
    assert together(16, lambda: client.payments("A1")) == [[]] * 16
    assert len(gateway.token_calls()) == 2


def test_one_renewal_for_many_forced_ones(gateway, connect):
    client = connect()
    client.token()
    gateway.tokens = [slow_token("Bearer forced")]
    assert set(together(8, lambda: client.token(force=True))) == {"Bearer forced"}
    assert len(gateway.token_calls()) == 2


def test_waiting_threads_share_a_failure(gateway, connect):
    def per_request(request):
        time.sleep(0.3)
        return answer(403, {"message": "Invalid client details"})

    gateway.tokens = [per_request] * 16
    errors = together(8, connect().token)
    assert {type(error) for error in errors} == {AuthenticationRefused}
    assert len({id(error) for error in errors}) == 8
    assert len(gateway.token_calls()) == 1


# ---------------------------------------------------------------------- secrets

SECRETS = ("SKapi-key-secret", "CHKchecksum-secret", "TOKEN-secret-value")
PRIVATE = "private words"


@pytest.mark.parametrize(
    "reply",
    [
        answer(400, {"message": "bad " + " ".join(SECRETS)}),
        answer(500, {"message": "bad " + " ".join(SECRETS)}),
        answer(401, {"message": "bad " + " ".join(SECRETS)}),
        answer(302, b"", [("Location", "http://x/" + SECRETS[0])]),
        drop,
        half,
        reset,
    ],
)
def test_no_secret_in_logs_texts_or_tracebacks(gateway, connect, caplog, reply):
    caplog.set_level(logging.DEBUG)
    token = answer(200, {"token": "Bearer TOKEN-secret-value"})
    gateway.tokens = [token, token]
    gateway.replies = [reply]
    client = connect("CHKchecksum-secret", patience=0)
    with pytest.raises(ClickPesaError) as caught:
        client.create_order_numbers([NumberRequest("A1", description=PRIVATE)])
    seen = "".join(traceback.format_exception(caught.value)) + repr(caught.value)
    seen += caplog.text + repr(client) + repr(pickle.dumps(caught.value))
    error = caught.value
    while error:
        assert not hasattr(error, "request")
        error = error.__cause__ or error.__context__
    for secret in (*SECRETS, PRIVATE):
        assert secret not in seen


def test_a_refused_token_call_does_not_quote_the_key(gateway, connect):
    message = "API-Key SKapi-key-secret is unknown"
    gateway.tokens = [answer(403, {"message": message})]
    with pytest.raises(AuthenticationRefused) as caught:
        connect().token()
    assert caught.value.message == "API-Key *** is unknown"


def test_mask():
    assert mask("a SECRET/1 b", ["SECRET/1", None, ""]) == "a *** b"
    assert mask("q=SECRET%2F1&x", ["SECRET/1"]) == "q=***&x"
    assert mask("Authorization: Bearer abc.def.ghi, x", []).endswith("Bearer ***, x")
    assert mask("longsecret long", ["long", "longsecret"]) == "*** ***"
    assert mask("a b", ["a"]) == "a b"
    assert mask(ValueError("SECRET"), ["SECRET"]) == "***"


def test_the_client_hides_its_credentials(connect):
    client = connect("CHKchecksum-secret")
    assert repr(client) == f"<ClickPesaClient {client.base_url}>"


# --------------------------------------------------------------- shared clients


@pytest.fixture
def no_clients():
    forget_clients()
    yield
    forget_clients()


ADDRESS = "https://api.clickpesa.com/third-parties"


def test_shared_clients(no_clients):
    client = get_client(ADDRESS, "ID", "KEY1", "")
    assert get_client(ADDRESS, "ID", "KEY1") is client
    assert get_client(ADDRESS, "ID", "KEY1", None) is client
    assert get_client(ADDRESS, "ID", "KEY1", "checksum") is not client
    assert get_client(ADDRESS, "ID", "KEY2") is not client
    forget_clients()
    assert get_client(ADDRESS, "ID", "KEY1") is not client


def test_shared_clients_are_bounded_and_the_used_one_stays(no_clients):
    client = get_client(ADDRESS, "ID", "KEY1")
    for number in range(40):
        get_client(ADDRESS, "ID", f"OTHER{number}")
        assert get_client(ADDRESS, "ID", "KEY1") is client
    from clickpesa import client as module

    assert len(module._clients) == module.LARGEST_CACHE


def test_a_forked_process_gets_its_own_client(no_clients, monkeypatch):
    client = get_client(ADDRESS, "ID", "KEY1")
    monkeypatch.setattr("os.getpid", lambda: -1)
    assert get_client(ADDRESS, "ID", "KEY1") is not client


def test_it_goes_through_a_plain_session(connect, monkeypatch):
    """Test frameworks watch outgoing calls by replacing ``requests.Session.send``."""
    sent = []

    def send(session, request, **options):
        sent.append((request.url, options))
        response = requests.Response()
        response.status_code = 200
        response._content = b'{"token": "Bearer patched"}'
        return response

    monkeypatch.setattr(requests.Session, "send", send)
    assert connect().token() == "Bearer patched"
    ((url, options),) = sent
    assert url.endswith("/third-parties/generate-token")
    assert options["timeout"] == (2, 2) and options["allow_redirects"] is False


def test_a_given_session_is_used(gateway, connect):
    session = requests.Session()
    session.headers["X-Mine"] = "yes"
    connect(session=session).token()
    assert gateway.requests[0].headers["x-mine"] == "yes"


def test_importing_opens_nothing_and_needs_no_odoo():
    import subprocess
    import sys
    from pathlib import Path

    folder = Path(clickpesa.__file__).parent
    code = (
        "import sys, socket, threading\n"
        "socket.socket.connect = None\n"
        f"sys.path.insert(0, {str(folder.parent)!r})\n"
        "import clickpesa\n"
        "assert threading.active_count() == 1\n"
        "assert not [name for name in sys.modules if name.startswith('odoo')]\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_class_is_what_get_client_makes(no_clients):
    assert type(get_client(ADDRESS, "ID", "KEY1")) is ClickPesaClient
