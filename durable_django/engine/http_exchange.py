"""One HTTP exchange: send a request, read the answer within the limits, follow redirects if asked to."""

from __future__ import annotations

import http.client
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final
from urllib.parse import urljoin

from ..exceptions import FetchRefused, FetchTooLarge
from .http_rules import Rules, Target, read_target, show_url
from .http_socket import Deadline, PinnedConnection, describe_failure, resolve

_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII)
_VALUE: Final = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_OURS: Final = frozenset(
    "host connection content-length transfer-encoding upgrade te trailer expect accept-encoding".split()
)
_HARMLESS: Final = frozenset("accept accept-language user-agent".split())
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What to send. ``timeout`` is in seconds and covers everything, redirects included."""

    url: str
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    timeout: float
    max_bytes: int
    redirects: int = 0


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, of whatever status; names of headers are in lower case."""

    url: str
    status: int
    headers: dict[str, str]
    body: bytes


def exchange(request: Request, rules: Rules) -> Answer:
    """Send the request and return the answer.

    Raises:
        FetchRefused: The URL, an address or a header is not allowed.
        FetchFailed: No complete answer came in time.
        FetchTooLarge: The body has more than ``max_bytes``.
    """
    deadline = Deadline(request.timeout)
    _check(request)
    target = read_target(request.url, rules)
    answer = _ask(request, target, rules, deadline)
    for _ in range(request.redirects):
        following = _follow(request, target, answer, rules)
        if following is None:
            return answer
        request, target = following
        answer = _ask(request, target, rules, deadline)
    return answer


def _check(request: Request) -> None:
    reason = ""
    if not _TOKEN.fullmatch(request.method) or request.method.upper() in ("CONNECT", "TRACE"):
        reason = f"the method {request.method[:20]!r} cannot be used"
    for name, value in request.headers.items():
        if not isinstance(name, str) or not _TOKEN.fullmatch(name) or name.lower() in _OURS:
            reason = f"the header {str(name)[:50]!r} cannot be set"
        elif not isinstance(value, str) or not _VALUE.fullmatch(value):
            reason = f"the value of the header {name!r} is not plain text"  # and may be a secret
    if reason:
        raise FetchRefused(url=show_url(request.url), reason=reason)


def _ask(request: Request, target: Target, rules: Rules, deadline: Deadline) -> Answer:
    try:
        connection = PinnedConnection(target, resolve(target, rules, deadline), deadline)
        try:
            headers = {"User-Agent": "durable-django", **request.headers, "Connection": "close"}
            connection.request(request.method.upper(), target.path, request.body, headers)
            return _read(connection.getresponse(), target, request.max_bytes)
        finally:
            connection.hang_up()
    except (OSError, http.client.HTTPException, UnicodeError) as error:
        raise describe_failure(target, error) from error


def _read(response: http.client.HTTPResponse, target: Target, limit: int) -> Answer:
    body = response.read(limit + 1)
    if len(body) > limit:
        raise FetchTooLarge(url=target.shown, limit=limit)
    if response.length:
        raise http.client.IncompleteRead(body, response.length)
    headers: dict[str, str] = {}
    for name, value in response.getheaders():
        key = name.lower()
        headers[key] = f"{headers[key]}, {value}" if key in headers else value
    return Answer(target.url, response.status, headers, body)


def _follow(request: Request, target: Target, answer: Answer, rules: Rules) -> tuple[Request, Target] | None:
    location = answer.headers.get("location")
    if answer.status not in _REDIRECTS or not location:
        return None
    url = urljoin(target.url, location)
    following = read_target(url.partition("#")[0], rules)
    headers = request.headers
    if following.origin != target.origin:
        # Whoever answered must not learn or place the credentials of another host.
        headers = {name: value for name, value in headers.items() if name.lower() in _HARMLESS}
        if request.body is not None and answer.status in (307, 308):
            return None
    changed = answer.status == 303 or (answer.status in (301, 302) and request.method.upper() == "POST")
    if changed and request.method.upper() != "HEAD":
        headers = {name: value for name, value in headers.items() if name.lower() != "content-type"}
        return replace(request, url=url, method="GET", body=None, headers=headers), following
    return replace(request, url=url, headers=headers), following
