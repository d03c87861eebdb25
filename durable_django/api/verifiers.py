"""How webhook sources sign what they deliver: Standard Webhooks, Stripe, GitHub, or the project's own.

A verifier is a function ``(secrets, headers, body, now) -> Delivery`` that raises WebhookRefused. Each signs
the raw bytes; the body is parsed afterwards. Several secrets at once let one be replaced.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from ..conf import settings
from ..exceptions import WebhookRefused

Headers = Mapping[str, str]
LONGEST_ID: Final = 255


@dataclass(frozen=True, slots=True)
class Delivery:
    """A delivery whose signature holds; an ``id`` that was taken before is not taken again."""

    id: str


Verifier = Callable[[Sequence[str], Headers, bytes, float], Delivery]


def verify_standard(secrets: Sequence[str], headers: Headers, body: bytes, now: float) -> Delivery:
    """Verify ``webhook-id``, ``webhook-timestamp`` and ``webhook-signature`` (standardwebhooks.com).

    Raises:
        WebhookRefused: One is missing, none of the signatures holds, or the time is too far from now.
    """
    name, sent = _need(headers, "webhook-id"), _need(headers, "webhook-timestamp")
    if "." in name or len(name) > LONGEST_ID:
        raise WebhookRefused(reason="its id has a dot or is too long")
    _check_time(sent, now)
    signed = b".".join((name.encode(), sent.encode(), body))
    given = [part[3:] for part in _need(headers, "webhook-signature").split(" ") if part.startswith("v1,")]
    wanted = [base64.b64encode(_sign(_read_secret(secret), signed)).decode() for secret in secrets]
    _check_any(given, wanted)
    return Delivery(name)


def verify_stripe(secrets: Sequence[str], headers: Headers, body: bytes, now: float) -> Delivery:
    """Verify ``Stripe-Signature``; the delivery's id is the digest of what was signed.

    Raises:
        WebhookRefused: It is missing, does not hold, or is too old.
    """
    pairs = [part.strip().partition("=") for part in _need(headers, "stripe-signature").split(",")]
    sent = next((value for name, _, value in pairs if name == "t"), "")
    _check_time(sent, now)
    signed = sent.encode() + b"." + body
    given = [value for name, _, value in pairs if name == "v1"]
    _check_any(given, [_sign(secret.encode(), signed).hex() for secret in secrets])
    return Delivery(hashlib.sha256(signed).hexdigest())


def verify_github(secrets: Sequence[str], headers: Headers, body: bytes, now: float) -> Delivery:
    """Verify ``X-Hub-Signature-256``, which covers neither the id nor a time.

    Since ``X-GitHub-Delivery`` is not signed, the delivery's id is the digest of the body.

    Raises:
        WebhookRefused: It is missing or does not hold.
    """
    given = _need(headers, "x-hub-signature-256").removeprefix("sha256=")
    _check_any([given], [_sign(secret.encode(), body).hex() for secret in secrets])
    return Delivery(hashlib.sha256(body).hexdigest())


def _need(headers: Headers, name: str) -> str:
    value = headers.get(name)
    if not value or not value.isascii():
        raise WebhookRefused(reason=f"the header {name} is missing")
    return value


def _check_time(text: str, now: float) -> None:
    if not (text.isascii() and text.isdecimal() and len(text) < 15):
        raise WebhookRefused(reason="its time is not in seconds")
    if abs(now - int(text)) > settings.WEBHOOK_TOLERANCE_SECONDS:
        raise WebhookRefused(reason="its time is too far from now")


def _check_any(given: Sequence[str], wanted: Sequence[str]) -> None:
    held = [hmac.compare_digest(one.encode(), other.encode()) for one in given for other in wanted]
    if not any(held):
        raise WebhookRefused(reason="no signature holds")


def _sign(secret: bytes, signed: bytes) -> bytes:
    return hmac.new(secret, signed, hashlib.sha256).digest()


def _read_secret(secret: str) -> bytes:
    try:
        return base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except (binascii.Error, ValueError):
        return secret.encode()


VERIFIERS: Final[dict[str, Verifier]] = {
    "standard": verify_standard,
    "stripe": verify_stripe,
    "github": verify_github,
}
