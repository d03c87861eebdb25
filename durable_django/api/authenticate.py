"""Who sends a request: the key in the path, or the one in the Authorization header; never a session."""

from __future__ import annotations

from dataclasses import dataclass

from django.conf import settings as django_settings
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from ..conf import settings
from ..engine.alias import get_alias
from ..engine.verify_key import has_keys, verify_key
from ..store.access import KeyRow
from .errors import KeyInvalid, KeysMissing


@dataclass(frozen=True, slots=True)
class Sender:
    """The bearer of a key, in the place of a user; without a key, anybody while keys are not required."""

    key: KeyRow | None
    address: str
    is_authenticated: bool = True

    @property
    def name(self) -> str:
        """What the operator log calls the sender."""
        return f"api:{self.key.name}" if self.key else "api:open"

    @property
    def ident(self) -> str:
        """What throttles count by; not a header, which anybody could change."""
        return self.key.prefix if self.key else self.address


class PathKey(BaseAuthentication):
    """The event key in the path."""

    def authenticate(self, request: Request) -> tuple[Sender, None]:
        """Return the sender.

        Raises:
            KeysMissing: Keys are required and there is none.
            KeyInvalid: This is none of them.
        """
        address = str(request.META.get("REMOTE_ADDR") or "")
        if not require_keys():
            return Sender(None, address), None
        text = str(request.parser_context["kwargs"].get("event_key") or "")
        key = verify_key(get_alias(), text, address=address)
        if key is None:
            raise KeyInvalid() if has_keys(get_alias()) else KeysMissing()
        return Sender(key, address), None

    def authenticate_header(self, request: Request) -> str:
        """Return the scheme, without which DRF makes 401 a 403."""
        return "EventKey"


class BearerKey(BaseAuthentication):
    """``Authorization: Bearer <key>``."""

    def authenticate(self, request: Request) -> tuple[Sender, None]:
        """Return the sender.

        Raises:
            KeyInvalid: There is no live key in the header.
        """
        scheme, _, text = str(request.META.get("HTTP_AUTHORIZATION") or "").partition(" ")
        address = str(request.META.get("REMOTE_ADDR") or "")
        key = None
        if scheme.lower() == "bearer":
            key = verify_key(get_alias(), text.strip(), address=address)
        if key is None:
            raise KeyInvalid("Key not found")
        return Sender(key, address), None

    def authenticate_header(self, request: Request) -> str:
        """Return the scheme of WWW-Authenticate."""
        return "Bearer"


def require_keys() -> bool:
    """Tell whether events are taken with a key only."""
    given = settings.REQUIRE_EVENT_KEYS
    return bool(not django_settings.DEBUG if given is None else given)
