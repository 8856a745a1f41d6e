"""The OpenAPI document is true: schemathesis calls every operation with what it makes up."""

from __future__ import annotations

import json

import pytest
import schemathesis
from hypothesis import HealthCheck, settings

settings.register_profile(
    "contract",
    deadline=None,
    max_examples=12,
    suppress_health_check=list(HealthCheck),
    database=None,
)


EXCLUDED = [
    # a valid request may hold a file with findings: 422, as documented
    schemathesis.checks.positive_data_acceptance,
]


@pytest.fixture
def document(config) -> dict:
    from acsbench.server.api import api

    return json.loads(json.dumps(api.get_openapi_schema()))


def test_the_document_is_openapi_3_1_and_tells_every_refusal(document) -> None:
    assert document["openapi"].startswith("3.1")
    operations = [one for path in document["paths"].values() for one in path.values()]
    assert len(operations) >= 25
    for one in operations:
        assert "application/problem+json" in one["responses"]["default"]["content"]
        assert one["summary"]
        assert one["description"]


def test_scores_are_decimal_strings_in_the_document(document) -> None:
    for name in ("FeedbackOut", "PairOut", "UndisclosedOut", "BoardPair"):
        for field, schema in document["components"]["schemas"][name]["properties"].items():
            if field in ("shown", "difference", "low", "high", "value"):
                assert "number" not in json.dumps(schema), (name, field)


def test_the_document_is_served(world) -> None:
    answer = world.call("GET", "/openapi.json")
    assert answer.status_code == 200
    assert "/api/v1/tasks/{slug}/submissions" in answer.json()["paths"]


@pytest.mark.slow
def test_schemathesis_finds_nothing(world, monkeypatch) -> None:
    """As an entrant who is also host and steward, so that every operation goes all the way."""
    from django.core.wsgi import get_wsgi_application
    from hypothesis import given

    from acsbench.server.limiter import Limiter
    from acsbench.server.operate import give_role

    monkeypatch.setattr(Limiter, "take", lambda *_: None)
    give_role("ada@example.org", "acs", "host")
    mine = world.accept("ada", world.task.csv()).submission.public_id
    world.work()
    schema = schemathesis.openapi.from_wsgi("/api/v1/openapi.json", get_wsgi_application())
    headers = {"Authorization": f"Bearer {world.tokens['ada']}"}
    known = {"slug": "acs", "public_id": mine}
    for result in schema.get_all_operations():
        operation = result.ok()
        if operation.path.endswith("/events"):
            continue  # a stream of its own test; WSGI has no asynchronous answers

        @settings(settings.get_profile("contract"))
        @given(case=operation.as_strategy())
        def call(case) -> None:
            for name in set(known) & set(case.path_parameters or {}):
                case.path_parameters[name] = known[name]
            case.call_and_validate(headers=headers, excluded_checks=EXCLUDED)

        call()
