"""The one place where settings are read: ``DURABLE_DJANGO = {...}`` in the project's settings.

Values are read on each access, so ``override_settings`` works; each default carries its unit in its name.
"""

from __future__ import annotations

from typing import Any, Final

from django.conf import settings as django_settings

SETTING: Final = "DURABLE_DJANGO"

DEFAULTS: Final[dict[str, Any]] = {
    # store
    "DATABASE": None,  # alias of the durable tables; None asks the database routers
    # definition
    "WORKFLOWS_MODULE": "workflows",  # module looked for in each installed app; None turns it off
    "RETRIES": 4,  # further attempts after the first, for steps and function segments
    "STEP_LIMIT": 1_000,  # steps a run; at most 10,000
    "INVOKE_DEPTH": 25,  # levels of workflows that invoke workflows
    "STEP_OUTPUT_BYTES": 4 * 1024 * 1024,
    "RUN_STATE_BYTES": 32 * 1024 * 1024,
    "EVENT_BYTES": 512 * 1024,  # at most 3 MB
    "EVENTS_PER_REQUEST": 5_000,
    "IDEMPOTENCY_HOURS": 24,
    # HTTP: limits are checked while the body is read, before it is parsed
    "REQUIRE_EVENT_KEYS": None,  # None: unless DEBUG is on
    "REQUEST_BYTES": 16 * 1024 * 1024,  # of one request, all its events together
    "EVENT_BACKLOG_LIMIT": 1_000_000,  # events that may wait to be routed before more are refused; None: any
    "EVENT_MAX_DEPTH": 100,  # objects and arrays inside one another; at most 150
    "EVENT_MAX_KEYS": 10_000,  # keys of one event, at all depths together
    "EVENT_MAX_DIGITS": 300,  # of one whole number
    "WEBHOOKS": {},  # source to {"secret", "verifier", "transform"}
    "WEBHOOK_TOLERANCE_SECONDS": 300.0,  # age of a signature, and how far it may lie in the future
    # hooks
    "HOOKS": [],  # Hook objects, or dotted paths of objects, classes, factories; the first is next to the store
    "REDACT": [  # names of fields that are masked where payloads are shown; * stands for anything
        "password",
        "passwd",
        "secret",
        "token",
        "authorization",
        "api_key",
        "private_key",
        "client_secret",
        "access_token",
        "refresh_token",
        "cookie",
        "set_cookie",
    ],
    # execution
    "DISPATCHER": "local",  # "local", "celery", "inline", or a dotted path
    "DEFAULT_QUEUE": "durable",
    "LEASE_SECONDS": 30.0,
    "CODE_VERSION": None,  # what workers say of the project's code, such as a release or a commit
    "CRASH_LIMIT": 5,  # worker deaths in a row before a run is quarantined
    "WORKER_THREADS": 8,  # `def` runs side by side in one worker process
    "PARALLEL_THREADS": 8,  # threads of one process that help with parallel groups of `def` runs
    "WORKER_TASKS": 128,  # `async def` runs side by side in one worker process
    "PUBLISH_TIMEOUT_SECONDS": 2.0,
    "RUNTIME_DIR": None,  # sockets by which processes of one host wake each other; None: the temp folder
    # answers from outside: step.fetch and step.ai
    "FETCH_ALLOW": (),  # besides public addresses over https: "http", origins, hosts, "*.suffix", blocks
    "FETCH_TIMEOUT_SECONDS": 30.0,  # of a whole exchange, unless the step says otherwise
    "FETCH_MAX_BYTES": 1024 * 1024,  # of a body, unless the step says otherwise
    "ANSWER_THREADS": 64,  # threads of one process that await answers; each costs a stack, not a slot
    "AI_KEYS": {},  # adapter name to key, or to a function that returns it
    # time
    "TICK_SECONDS": 1.0,
    "TICK_FROM_WORKERS": True,
    "TICK_BATCH": 500,
    "RENUDGE_SECONDS": 30.0,
    "RETENTION_DAYS": 30,
    "LOOK_BACK_DAYS": None,  # older events go even if a live run began before them; None: they stay
}


class Settings:
    """Attribute access to ``DURABLE_DJANGO`` with defaults; an unknown name raises AttributeError."""

    def __getattr__(self, key: str) -> Any:
        if key not in DEFAULTS:
            raise AttributeError(f"{SETTING} has no key {key!r}")
        return self.given().get(key, DEFAULTS[key])

    @staticmethod
    def given() -> dict[str, Any]:
        """Return what the project wrote, which may be nothing."""
        given = getattr(django_settings, SETTING, None)
        return given if isinstance(given, dict) else {}  # anything else is reported by a check


settings: Final = Settings()
