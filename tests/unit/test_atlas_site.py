"""Asking VNNIC's site: what comes is taken as it is, and whatever goes wrong on the way is told and bounded."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from atlas_server import Reply, Site, listed, place, running_site
from ispeed.atlas_site import USER_AGENT, fetch
from ispeed.errors import SiteFault

GOOD = listed(place("56", 784, 44.54, 46.01, 25.43, 6.74))
AT_ONCE = (0.0, 0.0)


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    with running_site() as site:
        yield site


def ask(site: Site, seconds: float = 5, bytes_max: int = 10_000) -> bytes:
    return fetch(f"{site.url}/mobile/overview-place-map?cityId=-1", seconds, bytes_max, AT_ONCE).body


def test_the_bytes_come_as_the_site_sent_them_and_it_learns_who_asks(site: Site) -> None:
    site.answer = lambda network, place: GOOD
    assert ask(site) == GOOD.body
    assert site.asked == ["/i-speed/mobile/overview-place-map?cityId=-1"]
    assert site.agents == {USER_AGENT}


@pytest.mark.parametrize(
    ("reply", "found"),
    [
        (Reply(b"busy", status=503), "status 503"),
        (Reply(b"broken", status=500), "status 500"),
        (Reply(GOOD.body, how="cut"), "cut connection: 43 bytes, and 43 missing"),
        (Reply(how="hang_up"), "RemoteDisconnected"),
        (Reply(GOOD.body, how="silent"), "no whole answer within 0.4 seconds"),
        (Reply(GOOD.body, how="trickle"), "no whole answer within 0.4 seconds"),
    ],
    ids=["503", "500", "cut", "hung up", "silent", "a byte at a time"],
)
def test_what_may_pass_is_asked_three_times_and_then_told(site: Site, reply: Reply, found: str) -> None:
    site.answer = lambda network, place: reply
    with pytest.raises(SiteFault) as raised:
        ask(site, seconds=0.4)
    assert found in raised.value.found
    assert raised.value.where.startswith(site.url)
    assert len(site.asked) == 3


def test_a_site_that_is_well_again_at_the_second_try_gives_its_answer(site: Site) -> None:
    replies = iter([Reply(status=502), GOOD])
    site.answer = lambda network, place: next(replies)
    assert ask(site) == GOOD.body
    assert len(site.asked) == 2


@pytest.mark.parametrize(
    ("reply", "found"),
    [
        (Reply(b"gone", status=404), "status 404"),
        (Reply(b"", status=204), "status 204"),
        (
            Reply(status=302, headers={"Location": "https://example.org/other"}),
            "a redirect to https://example.org/other",
        ),
        (Reply(status=302, headers={"Location": "file:///etc/passwd"}), "302"),
        (Reply(b"x" * 10_001), "more than 10,000 bytes"),
        (Reply(b"x" * 1_000, how="endless"), "more than 10,000 bytes"),
    ],
    ids=["404", "204", "elsewhere", "another scheme", "huge", "endless"],
)
def test_what_will_not_pass_is_told_at_once(site: Site, reply: Reply, found: str) -> None:
    site.answer = lambda network, place: reply
    with pytest.raises(SiteFault) as raised:
        ask(site)
    assert found in raised.value.found
    assert len(site.asked) == 1


def test_a_redirect_to_another_port_is_another_site_and_one_within_the_site_is_followed(site: Site) -> None:
    with running_site() as other:
        other.answer = lambda network, place: GOOD
        site.answer = lambda network, place: Reply(status=301, headers={"Location": f"{other.url}/mobile/x"})
        with pytest.raises(SiteFault, match="a redirect to"):
            ask(site)
        assert other.asked == []
    site.answer = lambda network, place: (
        GOOD if place == "56" else Reply(status=302, headers={"Location": "/x?cityId=56"})
    )
    assert ask(site) == GOOD.body


def test_nobody_there_is_told_with_the_address() -> None:
    with running_site() as site:
        url = f"{site.url}/mobile"
    with pytest.raises(SiteFault, match="Connection refused"):
        fetch(url, 2, 1_000, AT_ONCE)


def test_the_wait_for_an_answer_is_bounded_in_all(site: Site) -> None:
    site.answer = lambda network, place: Reply(b"x" * 1_000, how="trickle")
    started = time.monotonic()
    with pytest.raises(SiteFault):
        fetch(f"{site.url}/mobile", 0.5, 10_000, ())
    assert time.monotonic() - started < 2


def test_a_proxy_of_the_environment_is_asked_in_the_sites_place(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", site.url.removesuffix("/i-speed"))
    site.answer = lambda network, place: GOOD
    assert fetch("http://atlas.invalid/i-speed/mobile?cityId=-1", 5, 10_000, ()).body == GOOD.body
    assert site.asked == ["http://atlas.invalid/i-speed/mobile?cityId=-1"]


def test_a_certificate_that_nobody_vouches_for_is_refused(tmp_path: Path) -> None:
    with running_site(certificate=self_signed(tmp_path)) as site:
        site.answer = lambda network, place: GOOD
        with pytest.raises(SiteFault, match="CERTIFICATE_VERIFY_FAILED"):
            ask(site)
        assert site.asked == []


def self_signed(folder: Path) -> Path:
    """A key and a certificate for this machine's address, signed by nobody else, as one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    day = datetime(2020, 1, 1, tzinfo=UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(day)
        .not_valid_after(day.replace(year=2100))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = folder / "site.pem"
    plain = serialization.NoEncryption()
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    path.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    return path
