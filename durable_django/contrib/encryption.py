"""Encryption of payloads at rest, with MultiFernet of the package ``cryptography``.

Note [The place is inside the ciphertext]
    Fernet authenticates no associated data. So the place that a value is stored in (run, step and repetition,
    or event) is encrypted with it and compared when it is read: a ciphertext that was moved to another row
    is refused. What is encrypted is text of the engine's codec, so every type comes back as itself.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from ..define.hooks import Hook, Place
from ..engine.codec import decode, encode
from ..exceptions import InvalidSetting, PayloadMisplaced, PayloadUnreadable
from ..types import Event

MARK: Final = "$durable_encrypted"
SCHEME: Final = "fernet:1"

Keys = Sequence[str | bytes]


class EncryptionHook(Hook):
    """Encrypts outputs of steps and runs, and the data of events, wherever they are stored."""

    def __init__(
        self,
        keys: Keys | Callable[[], Keys],
        *,
        outputs: bool = True,
        events: str | None = "data",
        decrypt_only: bool = False,
        strict: bool = False,
    ) -> None:
        """Make the hook.

        Args:
            keys: Fernet keys, as ``Fernet.generate_key()`` makes them, or a function that returns them. The
                first one encrypts, all of them decrypt.
            outputs: Encrypt the outputs of steps and runs.
            events: What to encrypt of events: "data", all of it; "data.<field>", that field; None, nothing.
            decrypt_only: Encrypt nothing, but go on reading what was encrypted.
            strict: Refuse stored values that are not encrypted though they should be.

        Raises:
            InvalidSetting: There is no key, one is not a Fernet key, or ``events`` is something else.
        """
        self._fernet = _read_keys(keys() if callable(keys) else keys)
        self._outputs = outputs
        self._all = events == "data"
        self._field = _read_field(events)
        self._writes = not decrypt_only
        self._strict = strict and not decrypt_only

    def encode_output(self, value: Any, place: Place) -> Any:
        """Encrypt the output of a step or a run."""
        return self._encrypt(value, place) if self._outputs and self._writes else value

    def decode_output(self, value: Any, place: Place) -> Any:
        """Decrypt the output of a step or a run."""
        return self._decrypt(value, place, strict=self._strict and self._outputs)

    def send_event(self, event: Event) -> Event:
        """Encrypt the data of an event, or one field of it."""
        place = _place(event)
        if not self._writes:
            return event
        if self._all:
            return dataclasses.replace(event, data=self._encrypt(dict(event.data), place))
        if not self._field or self._field not in event.data:
            return event
        return _replace(event, self._field, self._encrypt(event.data[self._field], place))

    def receive_event(self, event: Event) -> Event:
        """Decrypt what is encrypted of an event."""
        place = _place(event)
        if _is_encrypted(event.data) or self._all:
            return dataclasses.replace(event, data=self._decrypt(event.data, place, strict=self._strict))
        # Also a field that was encrypted under an older configuration.
        for name, value in event.data.items():
            if _is_encrypted(value) or name == self._field:
                event = _replace(event, name, self._decrypt(value, place, strict=self._strict))
        return event

    def _encrypt(self, value: Any, place: Place) -> dict[str, str]:
        text = encode([_list(place), value])
        return {MARK: SCHEME, "token": self._fernet.encrypt(text.encode()).decode()}

    def _decrypt(self, value: Any, place: Place, *, strict: bool) -> Any:
        if not _is_encrypted(value):
            if strict:
                raise PayloadMisplaced(place=_name(place))
            return value
        try:
            text = self._fernet.decrypt(str(value["token"]))
        except (InvalidToken, ValueError):  # ValueError: the token is not even ASCII
            raise PayloadUnreadable(place=_name(place)) from None
        written_for, plain = decode(text.decode())
        if written_for != _list(place):
            raise PayloadMisplaced(place=_name(place))
        return plain


def _read_keys(keys: Keys) -> MultiFernet:
    if isinstance(keys, (str, bytes)) or not keys:
        raise InvalidSetting(key="HOOKS", value="EncryptionHook", reason="it needs a list of Fernet keys")
    try:
        return MultiFernet([Fernet(key) for key in keys])
    except (ValueError, TypeError):
        reason = "a key is not 32 bytes in URL-safe base64; Fernet.generate_key() makes one"
        raise InvalidSetting(key="HOOKS", value="EncryptionHook", reason=reason) from None


def _read_field(events: str | None) -> str:
    head, _, field = (events or "data").partition(".")
    if head != "data" or (events or "").endswith(".") or "." in field:
        reason = f"events={events!r} is not 'data', 'data.<field>' or None"
        raise InvalidSetting(key="HOOKS", value="EncryptionHook", reason=reason)
    return field


def _is_encrypted(value: Any) -> bool:
    return isinstance(value, Mapping) and value.keys() == {MARK, "token"} and value[MARK] == SCHEME


def _place(event: Event) -> Place:
    return Place("event", event.id, event.name)


def _replace(event: Event, field: str, value: Any) -> Event:
    return dataclasses.replace(event, data={**event.data, field: value})


def _list(place: Place) -> list[Any]:
    return [place.kind, place.id, place.name, place.index]


def _name(place: Place) -> str:
    return f"{place.kind} {place.name!r}"
