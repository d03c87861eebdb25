"""durability="relaxed": its checkpoints, and only those, do not wait for PostgreSQL's disk."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import transaction
from django.test.utils import CaptureQueriesContext

from durable_django import workflow
from durable_django.exceptions import InvalidDefinition
from durable_django.models import Step
from tests.plugins.store import Store

WITNESS = """
CREATE TABLE witness (step text, mode text);
CREATE FUNCTION bear_witness() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO witness VALUES (NEW.name, current_setting('synchronous_commit')); RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER witness AFTER INSERT ON durable_django_step
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION bear_witness();
"""


@pytest.fixture
def witness(store: Store) -> Iterator[Any]:
    """Tells with which synchronous_commit each step's transaction was about to commit."""
    with store.connection.cursor() as handle:
        handle.execute(WITNESS)

    def read() -> dict[str, str]:
        with store.connection.cursor() as handle:
            handle.execute("SELECT step, mode FROM witness")
            return dict(handle.fetchall())

    yield read
    with store.connection.cursor() as handle:
        handle.execute("DROP TABLE witness; DROP FUNCTION bear_witness CASCADE")


@pytest.mark.parametrize("store", ["postgres"], indirect=True)
def test_only_relaxed_checkpoints_commit_relaxed(declare: Any, store: Store, witness: Any) -> None:
    """Steps of a relaxed workflow commit asynchronously; atomic ones and those of others do not."""

    @declare(id="relaxed", durability="relaxed")
    def relaxed(ctx: Any) -> Any:
        yield ctx.step.run("quick", int)
        yield ctx.step.run("atomic", int, atomic=True)
        yield ctx.step.run("again", int)

    @declare(id="full")
    def full(ctx: Any) -> Any:
        yield ctx.step.run("full", int)

    relaxed.start().result(60)
    full.start().result(60)
    assert witness() == {"quick": "off", "atomic": "on", "again": "off", "full": "on"}
    with store.connection.cursor() as handle:
        handle.execute("SHOW synchronous_commit")
        assert handle.fetchone() == ("on",)


@pytest.mark.parametrize("store", ["postgres"], indirect=True)
def test_a_callers_transaction_is_never_relaxed(declare: Any, store: Store, witness: Any) -> None:
    """Inside somebody's transaction a relaxed checkpoint leaves that transaction's commit alone."""
    from durable_django.testing import drain

    @declare(durability="relaxed")
    def relaxed(ctx: Any) -> Any:
        yield ctx.step.run("inside", int)

    with transaction.atomic(using=store.alias):
        relaxed.start()
        drain()
    assert witness() == {"inside": "on"}


def test_a_relaxed_checkpoint_is_one_statement(declare: Any, store: Store) -> None:
    """Relaxed or not, a run of three steps takes equally many statements and stores the same."""
    counts = []
    for durability in ("full", "relaxed"):

        @declare(id=durability, durability=durability)
        def steps(ctx: Any) -> Any:
            for _ in range(3):
                yield ctx.step.run("a", int)

        with CaptureQueriesContext(store.connection) as queries:
            steps.start().result(60)
        counts.append(len(queries))
    assert Step.objects.using(store.alias).filter(status="completed").count() == 6
    assert counts[0] == counts[1]


def test_an_unknown_durability_is_refused() -> None:
    """Only full and relaxed exist."""
    with pytest.raises(InvalidDefinition):
        workflow(durability="careless")(lambda ctx: None)
