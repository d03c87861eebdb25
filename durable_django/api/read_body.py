"""Read the body of a request, up to a limit, whether or not its length was announced.

Note [The reader is ours]
    Django and its REST framework take a body without Content-Length for an empty one, and read one with
    it in a single piece. Here it is read in small pieces, and no more than the limit is ever kept; a
    little more is read and dropped, so that the client gets to see the refusal.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from django.http import HttpRequest, UnreadablePostError

from ..exceptions import RequestInvalid

PIECE: Final = 64 * 1024
DRAINED: Final = 8 * 1024 * 1024
"""Bytes beyond the limit that are read and dropped before the refusal."""

Read = Callable[[int], bytes]


def read_body(request: HttpRequest, limit: int) -> bytes:
    """Return the body.

    Args:
        limit: Bytes.

    Raises:
        RequestInvalid: It is longer, encoded, broken off, or of a form that this server does not pass on.
    """
    encoding = request.META.get("HTTP_CONTENT_ENCODING", "identity")
    if encoding.strip().lower() not in ("", "identity"):
        raise RequestInvalid(reason="The body must not be compressed: leave out Content-Encoding.")
    body = bytearray()
    try:
        read = _find_reader(request)
        while piece := read(min(PIECE, limit + 1 - len(body))):
            body += piece
            if len(body) > limit:
                _drain(read, DRAINED)
                raise RequestInvalid(reason=_say_too_large(request, limit))
    except (UnreadablePostError, OSError) as error:
        raise RequestInvalid(reason="The body broke off.") from error
    return _check_whole(request, bytes(body))


def _find_reader(request: HttpRequest) -> Read:
    # Only a server that ends the stream by itself (gunicorn, mod_wsgi) may be read past
    # Content-Length; elsewhere the read would wait for the next request on the connection.
    environ: dict[str, Any] = getattr(request, "environ", {})
    if not environ or environ.get("CONTENT_LENGTH") or "HTTP_TRANSFER_ENCODING" not in environ:
        return request.read
    if not environ.get("wsgi.input_terminated"):
        raise RequestInvalid(reason="This server needs Content-Length: it does not pass on chunked bodies.")
    read: Read = environ["wsgi.input"].read
    return read


def _check_whole(request: HttpRequest, body: bytes) -> bytes:
    announced = str(request.META.get("CONTENT_LENGTH") or "")
    if announced.isdecimal() and len(body) < int(announced[:20]):
        raise RequestInvalid(reason=f"The body broke off after {len(body)} of {announced[:20]} bytes.")
    return body


def _say_too_large(request: HttpRequest, limit: int) -> str:
    size = str(request.META.get("CONTENT_LENGTH") or f"more than {limit}")[:40]
    return f"Request is over the max size: Max {limit} bytes / Size {size} bytes"


def _drain(read: Read, room: int) -> None:
    while room > 0 and (piece := read(PIECE)):
        room -= len(piece)
