"""The rows of a seed: for each table its columns as SQL over the plan of the runs."""

from __future__ import annotations

from typing import Any

from durable_django.models import (
    Attempt,
    AuditEntry,
    BulkOperation,
    Event,
    PathSet,
    Rollup,
    Run,
    RunResult,
    Schedule,
    Step,
    Wait,
    WaitKey,
    Worker,
    WorkflowState,
)

PARTS = "SELECT * FROM plan WHERE n > {low} AND n <= {high}"
LIVE = "state IN ('waiting', 'asleep', 'retrying', 'queued', 'running')"
ENDED = f"NOT {LIVE}"
ERROR = (
    "'{\"name\": \"' || (ARRAY['CardDeclined', 'TimeoutError', 'ValueError', 'ConnectionError'])[1 + n % 4] || "
    '\'", "message": "order \' || n || \' was refused", "step": "charge-card", "index": 0}\''
)
DATA = (
    '\'{"order_id": \' || n || \', "total": \' || (n %% 9000) / 100.0 || \', "customer": {"id": \' || n %% 5000 '
    '|| \', "name": "Customer \' || n %% 5000 || \'"}, "items": [{"sku": "A-\' || n %% 300 || \'", "count": 2}]}\''
).replace("%%", "%")

Table = tuple[Any, dict[str, str], str]


def list_tables(runs: int, steps: int) -> dict[str, list[Table]]:
    """Return the tables that have a row or more for many runs."""
    return {
        "events": [
            (Event, _event("event_id", "1", "'shop/order.placed'"), PARTS),
            (Event, _other_event(), PARTS),
        ],
        "runs": [(Run, _run(), PARTS)],
        "results": [(RunResult, _result(), f"{PARTS} AND {ENDED}")],
        "steps": [
            (Step, _step(steps), f"SELECT * FROM plan, generate_series(0, {steps - 1}) s " + _between())
        ],
        "attempts": [(Attempt, _attempt(), _attempts())],
        "waits": [
            (Wait, _wait(), f"{PARTS} AND state = 'waiting'"),
            (Wait, _ended_wait(), f"{PARTS} AND state = 'completed' AND n % 5 = 0"),
        ],
        "log": [(AuditEntry, _log(), f"{PARTS} AND n % 50 = 0")],
    }


def _between() -> str:
    return "WHERE n > {low} AND n <= {high}"


def _event(key: str, place: str, name: str) -> dict[str, str]:
    return {
        "id": key,
        "name": name,
        "data": DATA,
        "external_id": "CASE WHEN n % 3 = 0 THEN 'order-' || n END",
        "ts": "(extract(epoch FROM at) * 1000)::bigint",
        "source": "CASE WHEN n % 4 = 0 THEN 'code' ELSE 'api' END",
        "created_at": "at",
        "arrival": f"2 * n + {place}",
        "routed_at": "at + interval '3 ms'",
    }


def _other_event() -> dict[str, str]:
    names = (
        "(ARRAY['shop/payment.completed', 'shop/parcel.sent', 'user/signed.up', 'stock/changed'])[1 + n % 4]"
    )
    return _event("(substr(event_id::text, 1, 23) || '-' || substr(md5('o' || n), 1, 12))::uuid", "0", names)


def _run() -> dict[str, str]:
    return {
        "id": "id",
        "workflow": "workflow",
        "event_id": "event_id",
        "key": "CASE WHEN n % 3 = 0 THEN 'order-' || n ELSE '' END",
        "origin": "CASE WHEN n % 20 = 0 THEN 'invoke' WHEN n % 21 = 0 THEN 'cron' WHEN n % 400 = 1 THEN 'rerun' "
        "ELSE 'event' END",
        "parent_id": "CASE WHEN n % 20 = 0 THEN (SELECT id FROM plan parent WHERE parent.n = p.n - 1) END",
        "parent_step": "CASE WHEN n % 20 = 0 THEN 'child' ELSE '' END",
        "status": "CASE state WHEN 'asleep' THEN 'waiting' WHEN 'retrying' THEN 'waiting' ELSE state END",
        "waits_for": "CASE state WHEN 'waiting' THEN 'event' WHEN 'asleep' THEN 'sleep' "
        "WHEN 'retrying' THEN 'retry' ELSE '' END",
        "queue": "CASE WHEN n % 10 = 0 THEN 'slow' ELSE 'durable' END",
        "version": "'v' || 10 + n * 5 / (SELECT max(n) FROM plan)",
        "wake_at": f"CASE WHEN {LIVE} THEN now() + interval '1 day' + (n % 86400) * interval '1 second' END",
        "token": "CASE WHEN state = 'queued' THEN 0 ELSE 2 END",
        "owner": "CASE WHEN state = 'running' THEN 'host-1:4711' ELSE '' END",
        "attempt": "CASE WHEN state = 'retrying' THEN 3 ELSE 0 END",
        "reason": "CASE state WHEN 'failed' THEN 'order ' || n || ' was refused' WHEN 'cancelled' THEN 'ordered twice' "
        "ELSE '' END",
        "created_at": "at",
        "started_at": "CASE WHEN state <> 'queued' THEN at + interval '20 ms' END",
        "ended_at": f"CASE WHEN {ENDED} THEN LEAST(at + lasted * interval '1 second', now()) END",
    }


def _result() -> dict[str, str]:
    return {
        "run_id": "id",
        "output": "CASE WHEN state = 'completed' THEN '{\"status\": \"paid\", \"order\": ' || n || '}' END",
        "error": f"CASE WHEN state = 'failed' THEN {ERROR} END",
    }


def _step(steps: int) -> dict[str, str]:
    last = f"s = {steps - 1}"
    names = "'reserve', 'charge-card', 'send-mail', 'pack', 'label', 'pick-up', 'notify', 'invoice', 'archive', 'done'"
    return {
        "run_id": "id",
        "name": f"(ARRAY[{names}])[1 + s % 10]",
        "index": "s / 10",
        "kind": f"CASE WHEN state = 'waiting' AND {last} THEN 'event' WHEN state = 'asleep' AND {last} THEN 'sleep' "
        "WHEN s % 10 = 2 THEN 'fetch' ELSE 'run' END",
        "status": f"CASE WHEN NOT ({last}) THEN 'completed' WHEN state = 'failed' THEN 'failed' "
        "WHEN state = 'retrying' THEN 'retrying' WHEN state IN ('waiting', 'asleep') THEN 'waiting' "
        "ELSE 'completed' END",
        "output": "'{\"ok\": true, \"n\": ' || n || '}'",
        "token": "1",
        "started_at": f"at + lasted * s / {steps} * interval '1 second'",
        "ended_at": f"at + lasted * (s + 0.8) / {steps} * interval '1 second'",
    }


def _attempts() -> str:
    return f"SELECT * FROM plan, generate_series(0, 2) s {_between()} AND state IN ('failed', 'retrying')"


def _attempt() -> dict[str, str]:
    return {
        "run_id": "id",
        "name": "'charge-card'",
        "number": "s",
        "error_type": "(ARRAY['CardDeclined', 'TimeoutError', 'ValueError', 'ConnectionError'])[1 + n % 4]",
        "message": "'order ' || n || ' was refused'",
        "traceback": "repeat('  File \"/srv/shop/payments.py\", line 42, in charge' || chr(10), 20)",
        "worker": "'host-1:4711'",
        "started_at": "at + s * interval '1 second'",
        "ended_at": "at + (s + 0.5) * interval '1 second'",
        "retry_at": "CASE WHEN s < 2 THEN at + (s + 1) * interval '1 second' END",
    }


def _wait() -> dict[str, str]:
    return {
        "run_id": "id",
        "name": "'done'",
        "event_name": "'shop/payment.completed'",
        "match": "'data.order_id'",
        "bound": "'{\"data\": {\"order_id\": ' || n || '}}'",
        "after": "2 * n",
        "expires_at": "now() + interval '1 day' + (n % 86400) * interval '1 second'",
        "created_at": "at",
    }


def _ended_wait() -> dict[str, str]:
    return {
        **_wait(),
        "name": "'pick-up'",
        "status": "CASE WHEN n % 2 = 0 THEN 'matched' ELSE 'expired' END",
        "ended_at": "at + lasted * interval '1 second'",
        "event_id": "CASE WHEN n % 2 = 0 THEN event_id END",
    }


def _log() -> dict[str, str]:
    return {
        "at": "at",
        "actor": "'user:' || n % 7 || ' ann'",
        "action": "(ARRAY['cancel', 'retry', 'rerun', 'resolve'])[1 + n % 4]",
        "run_id": "id",
        "workflow": "workflow",
        "reason": "'ticket ' || n",
        "result": "'cancelled'",
    }


def list_few(runs: int) -> list[Table]:
    """Return the small tables, each with its source."""
    names = "(SELECT DISTINCT workflow FROM plan) w"
    # One run of 10,000 steps of which one failed, and one of 50.
    long = "(SELECT id, at, s FROM plan, generate_series(0, {last}) s WHERE n = {n}) p"
    step = {
        "run_id": "id",
        "name": "'loop'",
        "index": "s",
        "kind": "'run'",
        "output": "'1'",
        "started_at": "at + s * interval '5 ms'",
        "ended_at": "at + (s + 0.9) * interval '5 ms'",
    }
    failed = {**step, "status": "CASE WHEN s = 4321 THEN 'failed' ELSE 'completed' END"}
    waits = "durable_django_wait w WHERE status = 'open'"
    return [
        (Step, failed, long.format(n=runs - 1, last=9_989)),
        (Step, {**step, "status": "'completed'"}, long.format(n=runs - 2, last=39)),
        (WaitKey, {"wait_id": "id", "key": "hashtextextended(bound, 0)"}, waits),
        (
            PathSet,
            {"event_name": "'shop/payment.completed'", "digest": "1", "paths": '\'[["data","order_id"]]\''},
            "(SELECT 1) o",
        ),
        (
            Worker,
            {"name": "'host-' || n", "kind": "'worker'", "queues": "'durable,slow'"},
            "generate_series(1, 8) n",
        ),
        (Worker, {"name": "'tick'", "kind": "'tick'"}, "(SELECT 1) o"),
        (
            Schedule,
            {
                "key": "md5(workflow)::uuid",
                "workflow": "workflow",
                "cron": "'0 5 * * *'",
                "tz": "'UTC'",
                "next_at": "now() + interval '5 hours'",
            },
            names,
        ),
        (
            WorkflowState,
            {
                "id": "workflow",
                "module": "'shop.workflows'",
                "file": "'shop/workflows.py'",
                "line": "10",
                "version": "'v14'",
                "seen_at": "now()",
            },
            names,
        ),
        (
            BulkOperation,
            {
                "action": "'cancel'",
                "filter": '\'{"workflow": "ship-order"}\'::jsonb',
                "state": "'finished'",
                "actor": "'user:1 ann'",
                "matched": "n",
                "done": "n",
                "created_at": "now() - n * interval '1 hour'",
                "ended_at": "now() - n * interval '1 hour'",
            },
            "generate_series(1, 300) n",
        ),
        *_figures(),
    ]


def _figures() -> list[Table]:
    values = {
        "workflow": "w",
        "started": "50 + h % 40",
        "completed": "45 + h % 40",
        "failed": "h % 7",
        "cancelled": "h % 3",
        "delays": '\'{"20": 40, "24": 9, "31": 1}\'',
        "durations": '\'{"30": 20, "44": 25, "58": 5}\'',
        "errors": '\'{"CardDeclined: refused": 3, "TimeoutError: 30 s": 1}\'',
    }
    names = "(SELECT DISTINCT workflow AS w FROM plan UNION SELECT '') w"
    minute = "date_trunc('minute', now()) - h * interval '1 minute'"
    hour = "date_trunc('hour', now()) - h * interval '1 hour'"
    return [
        (Rollup, {**values, "span": "1", "at": minute}, f"{names}, generate_series(1, 1500) h"),
        (Rollup, {**values, "span": "60", "at": hour}, f"{names}, generate_series(1, 720) h"),
    ]
