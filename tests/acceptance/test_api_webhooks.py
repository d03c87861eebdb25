from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from durable_django.engine.codec import decode
from durable_django.models import Event
from tests.plugins.store import Store

OLD, NEW = (f"whsec_{base64.b64encode(name * 24).decode()}" for name in (b"o", b"n"))
BODY = b'{"type": "paid",  "order": 7}'


def split_payload(payload: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {"name": f"shop/order.{payload['type']}", "data": {"order": payload["order"]}},
        {"name": "shop/any"},
    ]


@pytest.fixture(autouse=True)
def sources(store: Store, configure: Callable[..., None]) -> None:
    configure(
        WEBHOOKS={
            "shop": {"secret": [OLD, NEW], "transform": split_payload},
            "plain": {"secret": OLD},
            "stripe": {"secret": "s3cret", "verifier": "stripe"},
            "github": {"secret": "s3cret", "verifier": "github"},
        }
    )


def sign(secret: str, id: str, sent: str, body: bytes) -> str:
    key = base64.b64decode(secret.removeprefix("whsec_"))
    digest = hmac.new(key, f"{id}.{sent}.".encode() + body, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}"


def deliver(
    source: str = "shop",
    *,
    body: bytes = BODY,
    sent: float | str = 0,
    id: str = "msg_1",
    secret: str = OLD,
    **changed: str,
) -> Any:
    moment = sent if isinstance(sent, str) else str(int(time.time() + sent))
    headers = {
        "webhook-id": id,
        "webhook-timestamp": moment,
        "webhook-signature": sign(secret, id, moment, body),
    }
    return post(source, body, {name: value for name, value in (headers | changed).items() if value})


def post(source: str, body: bytes, headers: dict[str, str]) -> Any:
    client = Client(enforce_csrf_checks=True)
    return client.post(f"/durable/webhooks/{source}", body, content_type="application/json", headers=headers)


def test_a_delivery_becomes_the_events_of_its_transform() -> None:
    """A signed delivery is stored as the events that the function makes of it."""
    said = deliver().json()
    assert (said["status"], said["duplicate"]) == (200, False)
    assert [str(event.id) for event in Event.objects.order_by("id")] == said["ids"]
    assert [event.name for event in Event.objects.order_by("id")] == ["shop/order.paid", "shop/any"]


def test_a_repeated_delivery_is_taken_once() -> None:
    """The second delivery of an id is answered with 200 and stores nothing; another source's is its own."""
    assert deliver().status_code == 200
    said = deliver()
    assert (said.status_code, said.json()) == (200, {"ids": [], "status": 200, "duplicate": True})
    assert Event.objects.count() == 2
    assert deliver("plain").json()["duplicate"] is False


def test_without_a_transform_the_payload_is_the_data() -> None:
    """A source without a function gives one event of its name."""
    assert deliver("plain").status_code == 200
    event = Event.objects.get()
    assert (event.name, decode(event.data)) == ("webhook/plain", {"type": "paid", "order": 7})


def test_either_secret_and_either_signature_will_do() -> None:
    """While a secret is replaced, both hold; of several signatures one must."""
    assert deliver(secret=NEW).status_code == 200
    moment = str(int(time.time()))
    both = "v1,AAAA v2,x " + sign(OLD, "msg_2", moment, BODY)
    assert deliver(id="msg_2", sent=moment, **{"webhook-signature": both}).status_code == 200


@pytest.mark.parametrize(
    "given",
    [
        {"sent": -301},
        {"sent": 301},
        {"sent": "soon"},
        {"sent": ""},
        {"id": "a.b"},
        {"secret": "whsec_AAAA"},
        {"webhook-signature": ""},
        {"webhook-signature": "v1,"},
        {"webhook-signature": "v1a,AAAA"},
        {"webhook-id": "msg_9"},
        {"webhook-id": ""},
        {"webhook-timestamp": ""},
    ],
    ids=str,
)
def test_bad_signatures_are_refused(given: dict[str, Any]) -> None:
    """Old, future, altered, foreign and missing signatures are 401, and nothing is stored."""
    answer = deliver(**given)
    assert (answer.status_code, answer.json()["code"]) == (401, "webhook_refused")
    assert Event.objects.count() == 0


def test_the_raw_bytes_are_signed() -> None:
    """The same JSON in another spelling has another signature."""
    moment = str(int(time.time()))
    respelt = json.dumps(json.loads(BODY)).encode()
    signature = sign(OLD, "msg_1", moment, BODY)
    answer = deliver(body=respelt, sent=moment, **{"webhook-signature": signature})
    assert answer.status_code == 401


def test_the_vector_of_the_specification() -> None:
    """The signature of the published example is ours: secret, id, time and body are those of its README."""
    secret, body = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", b'{"test": 2432232314}'
    assert sign(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", body) == (
        "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    )


def test_stripe() -> None:
    """Stripe's scheme: time and body in one header."""
    moment = int(time.time())
    digest = hmac.new(b"s3cret", f"{moment}.".encode() + BODY, hashlib.sha256).hexdigest()
    assert post("stripe", BODY, {"stripe-signature": f"t={moment},v0=x,v1={digest}"}).status_code == 200
    assert post("stripe", BODY, {"stripe-signature": f"t={moment},v1={digest}"}).json()["duplicate"] is True
    assert post("stripe", BODY, {"stripe-signature": f"t={moment - 1},v1={digest}"}).status_code == 401


def test_github() -> None:
    """GitHub's scheme: a digest of the body."""
    digest = hmac.new(b"s3cret", BODY, hashlib.sha256).hexdigest()
    assert post("github", BODY, {"x-hub-signature-256": f"sha256={digest}"}).status_code == 200
    assert post("github", BODY + b" ", {"x-hub-signature-256": f"sha256={digest}"}).status_code == 401
    assert Event.objects.count() == 1


def test_unknown_source() -> None:
    """A source that is not configured is 404."""
    assert deliver("nobody").status_code == 404


@pytest.mark.parametrize("body", [b"[]", b"{", b'{"a": NaN}', b""])
def test_a_signed_body_that_is_no_object(body: bytes) -> None:
    """What is signed but cannot be used is 400, and may be delivered again."""
    assert deliver("plain", body=body).status_code == 400
    assert deliver("plain", body=b'{"a": 1}').status_code == 200
