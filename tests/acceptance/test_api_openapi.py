from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from durable_django.api.urls import urlpatterns
from durable_django.engine.keys import create_key
from tests.plugins.store import Store

pytest.importorskip("drf_spectacular", reason="the package drf-spectacular is not installed")


@pytest.fixture
def document(settings: Any) -> dict[str, Any]:
    settings.ROOT_URLCONF = "tests.urls_openapi"
    answer = Client().get("/v1/openapi.json", headers={"accept": "application/vnd.oai.openapi+json"})
    assert answer.status_code == 200
    return answer.json()  # type: ignore[no-any-return]


def test_the_document_has_every_path(document: dict[str, Any]) -> None:
    """Each path of the API is described, with the keys that it takes."""
    named = {str(each.pattern) for each in urlpatterns if each.name}
    assert len(document["paths"]) == len(named)
    cancel = document["paths"]["/v1/runs/{run_id}"]["delete"]
    assert cancel["security"] == [{"bearerKey": []}]
    assert {"200", "401", "404", "409"} <= cancel["responses"].keys()
    operations = [op["operationId"] for path in document["paths"].values() for op in path.values()]
    assert len(operations) == len(set(operations))


VALUES: list[Any] = [None, 0, "", "\x00", "x" * 300, [], {}, {"$durable": "int", "value": "x"}, -1.5, True]


def test_no_described_operation_answers_with_5xx(
    document: dict[str, Any], store: Store, settings: Any
) -> None:
    """Whatever is put into parameters and bodies, the answer is below 500 (or 503 for want of a tick)."""
    key = create_key("all", actor="test", scopes=["ingest", "read", "operate"]).text
    client = Client(headers={"authorization": f"Bearer {key}"})
    for path, methods in document["paths"].items():
        for method, told in methods.items():
            for value in VALUES:
                url = path
                for parameter in told.get("parameters", []):
                    text = (
                        key if parameter["name"] == "event_key" else str(value).replace("\x00", "%00") or "x"
                    )
                    url = url.replace("{" + parameter["name"] + "}", text)
                query = "&".join(
                    f"{p['name']}={str(value).replace(chr(0), '%00')}"
                    for p in told.get("parameters", [])
                    if p["in"] == "query"
                )
                body = (
                    {}
                    if method == "get"
                    else {
                        "data": {
                            "name": value,
                            "data": value,
                            "signal": value,
                            "key": value,
                            "reason": value,
                        },
                        "content_type": "application/json",
                    }
                )
                answer = getattr(client, method)(f"{url}?{query}", **body)
                assert answer.status_code < 500, (method, url, value)
