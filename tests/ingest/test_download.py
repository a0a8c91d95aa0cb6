import base64
import gzip
import hashlib
import logging
import random
import socket
import ssl
import subprocess
import time
import traceback
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from loopback import Cut, Dribble, Encoded, Endless, Redirect, Server, Stall, Status, serving

from recsys_dagster.errors import RecsysError, TransientError
from recsys_dagster.ingest.download import ATTEMPTS, CHECKSUM_BYTES, Limits, NotThereError, discard, download
from recsys_dagster.runtime import http_client

BODY = random.Random(1).randbytes(300_000)
PATH = "/data/ml-25m.zip"


@pytest.fixture
def url(server: Server) -> str:
    server.files[PATH] = BODY
    return server.url(PATH)


@pytest.fixture
def part(tmp_path: Path) -> Path:
    return tmp_path / "raw" / "ml-25m.zip.part"


def test_a_file_arrives_with_one_request_and_one_for_its_checksum(server, url, part):
    server.files[f"{PATH}.md5"] = f"MD5 (ml-25m.zip) = {hashlib.md5(BODY).hexdigest()}\n".encode()
    download(url, part)
    assert part.read_bytes() == BODY
    assert server.requests == [(PATH, None), (f"{PATH}.md5", None)]


def test_temporary_failures_are_retried(server, url, part):
    server.plans[PATH] = [Status(500), Status(503), Status(429)]
    download(url, part)
    assert part.read_bytes() == BODY
    assert len(server.ranges_of(PATH)) == 4


def test_a_server_that_keeps_failing_is_an_error_with_the_cure(server, url, part):
    server.plans[PATH] = [Status(500)] * 100
    with pytest.raises(
        RecsysError, match=rf"ml-25m\.zip: the server answered HTTP 500 .*{ATTEMPTS} times.*RECSYS_MIRROR"
    ):
        download(url, part)
    assert len(server.ranges_of(PATH)) == ATTEMPTS


def test_a_dropped_connection_is_resumed_where_it_broke_off(server, url, part):
    server.plans[PATH] = [Cut(after=100_000)]
    download(url, part)
    assert part.read_bytes() == BODY
    first, second = server.ranges_of(PATH)
    assert first is None
    assert second is not None
    assert 0 < int(second.removeprefix("bytes=").removesuffix("-")) <= 100_000


def test_a_connection_that_drops_often_is_resumed_as_long_as_every_attempt_brings_new_bytes(server, url, part):
    server.plans[PATH] = [Cut(after=20_000)] * (3 * ATTEMPTS - 1)
    download(url, part)
    assert part.read_bytes() == BODY
    assert len(server.ranges_of(PATH)) == 3 * ATTEMPTS


def test_a_connection_that_always_drops_at_the_same_byte_is_given_up(server, url, part):
    server.ranges = False
    server.plans[PATH] = [Cut(after=20_000)] * 100
    with pytest.raises(RecsysError, match="RemoteProtocolError"):
        download(url, part)
    assert len(server.ranges_of(PATH)) == ATTEMPTS + 1  # the first did bring something


def test_a_later_download_resumes_an_earlier_one(server, url, part):
    server.plans[PATH] = [Cut(after=200_000)] + [Status(502)] * ATTEMPTS
    with pytest.raises(RecsysError, match="502"):
        download(url, part)
    size = part.stat().st_size
    assert 0 < size <= 200_000
    download(url, part)
    assert part.read_bytes() == BODY
    assert server.ranges_of(PATH)[-1] == f"bytes={size}-"


def test_a_complete_file_is_not_sent_again(server, url, part):
    download(url, part)
    download(url, part)
    assert part.read_bytes() == BODY
    assert server.sent == len(BODY)


@pytest.mark.parametrize("new", [BODY[::-1], BODY[:1000]], ids=["longer than what is there", "shorter"])
def test_a_file_that_changed_on_the_server_is_downloaded_from_its_start(server, url, part, new):
    server.plans[PATH] = [Cut(after=200_000)] + [Status(502)] * ATTEMPTS
    with pytest.raises(RecsysError, match="502"):
        download(url, part)
    server.files[PATH] = new
    download(url, part)
    assert part.read_bytes() == new


def test_the_partial_download_of_another_url_is_not_resumed(server, url, part):
    download(url, part)
    server.files["/other.zip"] = BODY[::-1]
    download(server.url("/other.zip"), part)
    assert part.read_bytes() == BODY[::-1]


@pytest.mark.parametrize("lacking", ["ranges", "validators"])
def test_from_a_server_that_cannot_resume_everything_is_requested_again(server, url, part, lacking):
    setattr(server, lacking, False)
    server.plans[PATH] = [Cut(after=100_000)]
    download(url, part)
    assert part.read_bytes() == BODY


def test_a_download_with_a_wrong_checksum_is_refused_and_removed(server, url, part):
    server.files[f"{PATH}.md5"] = b"0123456789abcdef0123456789abcdef  ml-25m.zip\n"
    with pytest.raises(RecsysError, match=f"MD5 is {hashlib.md5(BODY).hexdigest()}, published is 0123456789abcdef"):
        download(url, part)
    assert list(part.parent.iterdir()) == []


def test_an_answer_without_a_checksum_is_ignored(server, url, part):
    server.files[f"{PATH}.md5"] = b"<html>Not found, but politely</html>"
    download(url, part)
    assert part.read_bytes() == BODY


@pytest.mark.parametrize(("code", "error"), [(404, NotThereError), (410, NotThereError), (403, RecsysError)])
def test_permanent_failures_are_not_retried(server, url, part, code, error):
    server.plans[PATH] = [Status(code)]
    with pytest.raises(error, match=f"HTTP {code}"):
        download(url, part)
    assert len(server.requests) == 1


def test_an_unreachable_server_is_an_error(server, part):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound but not listening: connections are refused
        with pytest.raises(RecsysError, match=r"ConnectError .*RECSYS_MIRROR"):
            download(f"http://127.0.0.1:{taken.getsockname()[1]}/ml-25m.zip", part)


def test_an_invalid_address_is_an_error(part, server):
    with pytest.raises(RecsysError, match="check the address"):
        download("http://exa mple:port/", part)


@pytest.mark.parametrize("lengths", [True, False], ids=["announced", "not announced"])
def test_a_download_too_large_for_the_disk_is_an_error(server, url, small_disk, lengths):
    server.lengths = lengths
    server.files[PATH] = BODY * 10
    with pytest.raises(RecsysError, match="RECSYS_HOME at a larger disk"):
        download(url, small_disk / "raw" / "ml-25m.zip.part")


# -- limits


@pytest.mark.parametrize("fault", [Dribble(0.01), Stall(after=1000)], ids=["a byte at a time", "stalled"])
def test_a_download_that_takes_too_long_is_given_up(server, url, part, fault):
    server.plans[PATH] = [fault] * 100
    began = time.monotonic()
    with pytest.raises(TransientError, match=r"ml-25m\.zip: not complete within RECSYS_DOWNLOAD_SECONDS=0\.5; run"):
        download(url, part, Limits(seconds=0.5))
    assert time.monotonic() - began < 5


def test_a_body_without_length_that_was_cut_off_by_the_time_limit_is_not_taken_for_complete(server, url, part):
    server.lengths = False
    server.plans[PATH] = [Stall(after=1000)]
    with pytest.raises(TransientError, match="not complete within"):
        download(url, part, Limits(seconds=0.5))


def test_a_download_without_end_is_given_up(server, url, part):
    server.plans[PATH] = [Endless()] * 100
    with pytest.raises(RecsysError, match=r"ml-25m\.zip: larger than RECSYS_DOWNLOAD_BYTES=1000000; raise the limit"):
        download(url, part, Limits(bytes=1_000_000))
    assert part.stat().st_size <= 1_000_000
    assert len(server.requests) == 1


def test_a_file_that_is_announced_as_too_large_is_not_downloaded(server, url, part):
    with pytest.raises(RecsysError, match="larger than RECSYS_DOWNLOAD_BYTES=1000;"):
        download(url, part, Limits(bytes=1000))
    assert not part.exists()


def test_a_checksum_without_end_is_read_to_a_limit(server, url, part):
    server.plans[f"{PATH}.md5"] = [Endless()]
    download(url, part)
    server.files[f"{PATH}.md5"] = b" " * CHECKSUM_BYTES + b"0123456789abcdef" * 2  # the digits are beyond the limit
    download(url, part)
    assert part.read_bytes() == BODY


def test_a_checksum_is_not_decompressed(server, url, part):
    server.plans[f"{PATH}.md5"] = [Encoded(gzip.compress(b"0" * 50_000_000))]
    download(url, part)
    assert part.read_bytes() == BODY


@pytest.mark.parametrize("code", [400, 401, 403, 404, 405, 416])
def test_a_server_that_refuses_the_checksum_has_none(server, url, part, code):
    server.plans[f"{PATH}.md5"] = [Status(code)]
    download(url, part)
    assert part.read_bytes() == BODY


def test_a_compressed_answer_is_refused(server, url, part):
    server.plans[PATH] = [Encoded(gzip.compress(BODY))]
    with pytest.raises(RecsysError, match=r"sends the file compressed \(gzip\)"):
        download(url, part)


def test_an_answer_416_to_a_request_without_range_is_an_error(server, url, part):
    server.plans[PATH] = [Status(416)] * 2
    with pytest.raises(RecsysError, match="HTTP 416"):
        download(url, part)
    assert len(server.requests) == 1


def test_an_answer_416_that_does_not_fit_starts_anew(server, url, part):
    server.plans[PATH] = [Cut(after=100_000), Status(416)]
    download(url, part)
    assert part.read_bytes() == BODY
    assert [text is None for text in server.ranges_of(PATH)] == [True, False, True]


def test_redirects_without_end_are_an_error(server, url, part):
    server.plans[PATH] = [Redirect(PATH)] * 100
    with pytest.raises(RecsysError, match="TooManyRedirects"):
        download(url, part)


def test_a_link_in_place_of_the_partial_download_is_not_written_through(server, url, part, tmp_path):
    outside = tmp_path / "outside"
    outside.write_bytes(BODY[:100])
    part.parent.mkdir()
    part.symlink_to(outside)
    download(url, part)  # nothing is known about it: the link is removed
    assert part.read_bytes() == BODY
    part.unlink()
    part.symlink_to(outside)
    with pytest.raises(RecsysError, match=r"ml-25m\.zip\.part: not a file of this project, but a link"):
        download(url, part)  # the validator is known: the download would be resumed
    assert outside.read_bytes() == BODY[:100]


# -- secrets


@pytest.fixture
def secret_url(server, url):
    """A URL with a user name, a password and a token."""
    server.files[f"{PATH}?token=T0KEN"] = BODY
    return url.replace("http://", "http://user:PASSW0RD@") + "?token=T0KEN"


SECRETS = ("user:", "PASSW0RD", "T0KEN")


def test_a_url_with_secrets_works_and_leaves_them_nowhere(server, secret_url, part, caplog):
    server.files[f"{PATH}.md5?token=T0KEN"] = hashlib.md5(BODY).hexdigest().encode()
    server.plans[f"{PATH}?token=T0KEN"] = [Redirect(f"{PATH}?token=T0KEN&again=T0KEN"), Cut(after=100)]
    server.files[f"{PATH}?token=T0KEN&again=T0KEN"] = BODY
    with caplog.at_level(logging.DEBUG):
        for name in ("httpx", "httpcore", "httpcore.http11", "httpcore.connection"):
            logging.getLogger(name).setLevel(logging.DEBUG)
        download(secret_url, part)
    assert part.read_bytes() == BODY
    assert server.authorizations[0] == "Basic " + base64.b64encode(b"user:PASSW0RD").decode()
    kept = "".join(path.read_text("latin-1") for path in part.parent.iterdir() if path != part)
    for secret in SECRETS:
        assert secret not in caplog.text
        assert secret not in kept


def test_a_presigned_url_with_another_token_resumes_the_download(server, secret_url, part):
    server.plans[f"{PATH}?token=T0KEN"] = [Cut(after=200_000)] + [Status(502)] * ATTEMPTS
    with pytest.raises(RecsysError, match="502"):
        download(secret_url, part)
    server.files[f"{PATH}?token=NEW"] = BODY
    download(secret_url.replace("T0KEN", "NEW"), part)
    assert part.read_bytes() == BODY
    assert server.ranges_of(f"{PATH}?token=NEW")[0] is not None


@pytest.mark.parametrize(
    "faults",
    [
        [Status(500)] * 100,
        [Status(403)],
        [Status(404)],
        [Cut(after=0)] * 100,
        [Endless()],
        [Encoded(b"x")],
        [Redirect("http://user:PASSW0RD@[::1")] * 100,
        [Redirect("ftp://user:PASSW0RD@host/T0KEN")],
        [Redirect("http://user:PASSW0RD@127.0.0.1:9/T0KEN")] * 100,
    ],
    ids=str,
)
def test_no_failure_shows_the_secrets_of_the_url(server, secret_url, part, faults):
    server.ranges = False
    server.plans[f"{PATH}?token=T0KEN"] = list(faults)
    with pytest.raises(RecsysError) as raised:
        download(secret_url, part, Limits(bytes=400_000))
    shown = "".join(traceback.format_exception(raised.value))
    assert "127.0.0.1" in str(raised.value)
    for secret in SECRETS:
        assert secret not in shown


def test_a_wrong_checksum_of_a_url_with_secrets_does_not_show_them(server, secret_url, part):
    server.files[f"{PATH}.md5?token=T0KEN"] = b"0123456789abcdef" * 2
    with pytest.raises(RecsysError, match="published is 0123456789abcdef") as raised:
        download(secret_url, part)
    assert not any(secret in str(raised.value) for secret in SECRETS)


# -- HTTPS


@pytest.fixture
def https_server(server, tmp_path, monkeypatch):
    """A second server, with TLS, whose certificate is trusted."""
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True)
    secure = Server()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    secure.socket = context.wrap_socket(secure.socket, server_side=True)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    http_client._certificates.cache_clear()
    with serving(secure):
        yield secure
    http_client._certificates.cache_clear()


def secure_url(server: Server) -> str:
    return server.url(PATH).replace("http:", "https:")


def test_a_file_is_downloaded_over_https(https_server, part):
    https_server.files[PATH] = BODY
    https_server.plans[PATH] = [Redirect(f"{PATH}?elsewhere")]
    https_server.files[f"{PATH}?elsewhere"] = BODY
    download(secure_url(https_server), part)
    assert part.read_bytes() == BODY


def test_a_redirect_from_https_to_http_is_refused(server, url, https_server, part):
    https_server.plans[PATH] = [Redirect(url)] * 10
    with pytest.raises(RecsysError, match="redirects to an address without encryption"):
        download(secure_url(https_server), part)
    assert server.requests == []


def test_the_time_limit_holds_over_https(https_server, part):
    https_server.files[PATH] = BODY
    https_server.plans[PATH] = [Stall(after=1000)]
    with pytest.raises(TransientError, match="not complete within"):
        download(secure_url(https_server), part, Limits(seconds=1))


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(faults=st.lists(st.one_of(st.integers(0, 300_000).map(Cut), st.just(Status(500))), max_size=ATTEMPTS - 1))
def test_no_sequence_of_failures_changes_the_bytes(server, url, part, faults):
    discard(part)
    server.plans[PATH] = list(faults)
    download(url, part)
    assert part.read_bytes() == BODY
