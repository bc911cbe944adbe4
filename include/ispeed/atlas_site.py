"""One GET of a public site, bounded: seconds, bytes, tries, and never to another host than the one that was asked."""

from __future__ import annotations

import http.client
import logging
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from typing import IO, Final
from urllib.parse import urlsplit

import ispeed
from ispeed.errors import SiteFault

log = logging.getLogger(__name__)

USER_AGENT: Final = f"ispeed-monthly-reports/{ispeed.__version__} (monthly provincial report; one request a figure)"
# Seconds between the tries of one address, where it may answer later.
PAUSES: Final = (2.0, 10.0)
_MAY_PASS: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
_BLOCK: Final = 64 * 1024
_REMEDY: Final = "look at the address in a browser; if it is the network or the proxy, mend that, then: make atlas M=…"


@dataclass(frozen=True)
class Answer:
    """What a site answered, as it came."""

    url: str
    status: int
    content_type: str
    body: bytes


def fetch(url: str, seconds: float, bytes_max: int, pauses: Sequence[float] = PAUSES) -> Answer:
    """The answer of status 200 at a http or https address, through the environment's proxies; TLS is verified.

    Time-outs, cut connections and errors of the server's own are tried again after each of `pauses` (seconds). Raises
    `SiteFault` where nothing came that can be used: no answer, another status, a redirect elsewhere, too many bytes.
    """
    for pause in pauses:
        try:
            return _fetch_once(url, seconds, bytes_max)
        except SiteFault as fault:
            if not fault.may_pass:
                raise
            log.info("%s: %s; trying again in %g s.", url, fault.found, pause)
        time.sleep(pause)
    return _fetch_once(url, seconds, bytes_max)


class _SameHost(urllib.request.HTTPRedirectHandler):
    """Follows redirects within one scheme, host and port; any other is told and not followed."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        """The request to follow with. Raises `SiteFault` where it leads elsewhere."""
        asked, told = urlsplit(req.full_url), urlsplit(newurl)
        if (asked.scheme, asked.hostname, asked.port) != (told.scheme, told.hostname, told.port):
            raise SiteFault(
                req.full_url,
                f"status {code}, a redirect to {newurl}",
                f"an answer, or a redirect within {asked.scheme}://{asked.netloc}",
                "if the site has moved, set ISPEED_ATLAS_URL to its new address",
            )
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _fetch_once(url: str, seconds: float, bytes_max: int) -> Answer:
    request = urllib.request.Request(url, headers={"User-Agent": USER_AGENT, "Accept": "application/json"})
    opener = urllib.request.build_opener(_SameHost)
    deadline = time.monotonic() + seconds
    try:
        with opener.open(request, timeout=seconds) as response:
            body = _read(response, url, seconds, deadline, bytes_max)
            if response.status != 200:
                raise _fault(url, f"status {response.status}", may_pass=False)
            return Answer(url, response.status, str(response.headers.get("Content-Type", "")), body)
    except urllib.error.HTTPError as error:
        with error:
            raise _fault(url, f"status {error.code} {error.reason}", may_pass=error.code in _MAY_PASS) from error
    except TimeoutError as error:
        raise _slow(url, seconds) from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        cause = getattr(error, "reason", error)
        if isinstance(cause, TimeoutError):
            raise _slow(url, seconds) from error
        raise _fault(url, f"{type(cause).__name__}: {cause}", may_pass=True) from error


def _read(response: http.client.HTTPResponse, url: str, seconds: float, deadline: float, bytes_max: int) -> bytes:
    """The body, in blocks: a server that trickles, or never ends, must not hold the task."""
    body = bytearray()
    while block := response.read1(_BLOCK):
        body += block
        if len(body) > bytes_max:
            raise SiteFault(
                url,
                f"more than {bytes_max:,} bytes",
                "at most so many, the setting ISPEED_ATLAS_BYTES_MAX; a month of all provinces has some 5,000",
                "look at the address in a browser; raise the setting if it is right",
            )
        if time.monotonic() > deadline:
            raise _slow(url, seconds)
    # Of a known length, http.client says nothing of what is missing when it is read in parts.
    if response.length:
        raise _fault(url, f"a cut connection: {len(body):,} bytes, and {response.length:,} missing", may_pass=True)
    return bytes(body)


def _slow(url: str, seconds: float) -> SiteFault:
    return _fault(url, f"no whole answer within {seconds:g} seconds (ISPEED_ATLAS_SECONDS)", may_pass=True)


def _fault(url: str, found: str, *, may_pass: bool) -> SiteFault:
    return SiteFault(url, found, "status 200 and JSON", _REMEDY, may_pass=may_pass)
