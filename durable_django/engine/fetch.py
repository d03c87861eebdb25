"""Carry out ``step.fetch``: blocking, on whatever thread waits for the answer."""

from __future__ import annotations

import re
from typing import Any, Final

from ..conf import settings
from ..define.calls import FetchCall
from .http_exchange import Answer, Request, exchange
from .http_rules import read_rules

_CHARSET: Final = re.compile(r"charset=\"?([\w.:-]+)", re.ASCII | re.IGNORECASE)
_SAFE: Final = re.compile(
    r"utf-?8|us-ascii|ascii|latin-?1|iso-8859-\d+|(windows-|cp)125\d|utf-16(le|be)?|"
    r"shift_jis|euc-(jp|kr)|gb(2312|k|18030)|big5|koi8-[ru]",
    re.ASCII | re.IGNORECASE,
)


def fetch(call: FetchCall, timeout: float | None, key: str) -> dict[str, Any]:
    """Send the request and return what the workflow gets.

    Raises:
        FetchRefused, FetchFailed, FetchTooLarge: There is no answer that could be returned.
    """
    headers = dict(call.headers)
    if call.key_header is not None:
        headers[call.key_header] = key
    request = Request(
        url=call.url,
        method=call.method,
        headers=headers,
        body=call.content,
        timeout=settings.FETCH_TIMEOUT_SECONDS if timeout is None else timeout,
        max_bytes=settings.FETCH_MAX_BYTES if call.max_bytes is None else call.max_bytes,
        redirects=call.redirects,
    )
    answer = exchange(request, read_rules(settings.FETCH_ALLOW))
    return {
        "url": answer.url,
        "status_code": answer.status,
        "headers": answer.headers,
        "body": decode_body(answer),
    }


def decode_body(answer: Answer) -> str | bytes:
    """Return the body as text if it is text in its charset (UTF-8 if none is named), else as bytes."""
    found = _CHARSET.search(answer.headers.get("content-type", ""))
    charset = found[1] if found and _SAFE.fullmatch(found[1]) else "utf-8"
    try:
        text = answer.body.decode(charset)
    except (UnicodeDecodeError, LookupError):
        return answer.body
    return answer.body if "\x00" in text else text
