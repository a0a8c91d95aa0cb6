import hashlib
import random
import socket
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from loopback import Cut, Server, Status

from recsys_dagster.errors import RecsysError
from recsys_dagster.ingest.download import ATTEMPTS, NotThereError, discard, download

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


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(faults=st.lists(st.one_of(st.integers(0, 300_000).map(Cut), st.just(Status(500))), max_size=ATTEMPTS - 1))
def test_no_sequence_of_failures_changes_the_bytes(server, url, part, faults):
    discard(part)
    server.plans[PATH] = list(faults)
    download(url, part)
    assert part.read_bytes() == BODY
