"""Where chaos takes place: a store, a broker, worker processes, and a server that they fetch from."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
import threading
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.cluster import Cluster, find_programs
from tests.plugins.processes import QUIET, Project, make_env
from tests.plugins.services import Broker, claim_redis
from tests.processes import Process

APP = "tests.chaos"
LEASE = 2.0
DURABLE: dict[str, Any] = {
    "TICK_SECONDS": 0.25,
    "RENUDGE_SECONDS": 2.0,
    "CRASH_LIMIT": 1_000,  # what is killed at random is no poison
    "STEP_LIMIT": 2_000,
}
WORKERS = 2


@dataclass
class Stage:
    """The processes of one chaos run; ``cluster``, ``standby`` and ``broker`` are None where there is none.

    ``replica`` says what the standby is: "sync", "async", or "" for none.
    """

    project: Project
    cluster: Cluster | None
    broker: Broker | None
    skew: float = 0.0
    replica: str = ""
    settings: Mapping[str, str] = field(default_factory=dict)
    standby: Cluster | None = None
    workers: list[Process] = field(default_factory=list)
    beats: list[Process] = field(default_factory=list)

    def add_standby(self) -> None:
        """Copy the server, and return when the copy follows."""
        self.standby = Cluster(self.settings, primary=self.cluster)
        assert self.cluster is not None
        self.cluster.wait_for_standby(synchronous=self.replica == "sync")

    def promote_standby(self) -> None:
        """Lose the server, and put its standby in its place."""
        assert self.cluster is not None
        assert self.standby is not None
        self.cluster.close()
        self.standby.take_the_place_of(self.cluster)
        self.cluster, self.standby = self.standby, None

    def close(self) -> None:
        """End all processes, and delete the servers."""
        for process in self.project.started:
            process.kill()
        for server in (self.cluster, self.standby):
            if server is not None:
                server.close()

    def add_worker(self) -> None:
        """Start another worker; it is not waited for. Their clocks are ahead and behind in turn."""
        env = {"CHAOS_SKEW": str(self.skew * (-1) ** len(self.project.started))}
        if self.broker is None:
            self.workers.append(self.project.start_manage("durable", "worker", "--threads", "6", env=env))
            return
        options = ["-Q", self.broker.queue, "-n", f"{uuid.uuid4().hex}@%h", "-c", "2", *QUIET]
        command = ["-m", "celery", "-A", "tests.celery_app", "worker", "-l", "INFO", *options]
        self.workers.append(self.project.start("worker", *command, env=env))

    def add_beat(self) -> None:
        """Start another beat; nothing keeps it from being one too many."""
        schedule = str(self.project.folder / f"schedule-{uuid.uuid4().hex}")
        command = ["-m", "celery", "-A", "tests.celery_app", "beat", "-l", "WARNING", "-s", schedule]
        self.beats.append(self.project.start("beat", *command))

    def count_logged(self, text: str) -> int:
        """Return how often the processes, dead or alive, have logged a text."""
        return sum(each.text.count(text) for each in self.project.started)


@contextlib.contextmanager
def open_stage(
    store: str,
    dispatcher: str,
    ambiguous: float,
    skew: float = 0.0,
    server_settings: Mapping[str, str] | None = None,
    replica: str = "",
    lease: float = LEASE,
) -> Iterator[Stage]:
    """Provide the store and all else, and set Django up for it in this process."""
    with contextlib.ExitStack() as held:
        folder = Path(held.enter_context(tempfile.TemporaryDirectory(prefix="durable-chaos-")))
        cluster = None
        url = f"sqlite:///{folder / 'chaos.sqlite3'}"
        if store == "postgres":
            if find_programs() is None:
                sys.exit("chaos on PostgreSQL needs its server programs: it starts and kills one of its own")
            cluster = Cluster(server_settings)
            held.callback(cluster.close)
            url = cluster.url
        broker = None
        if dispatcher == "celery":
            address = held.enter_context(claim_redis(seconds=6 * 3600))
            broker = Broker("redis", address, f"chaos-{uuid.uuid4().hex[:8]}")
        server = held.enter_context(serve_echo())
        durable = DURABLE | {"LEASE_SECONDS": lease, "RUNTIME_DIR": str(folder), "FETCH_ALLOW": [server]}
        env = make_env(url, broker, [APP], durable)
        env |= {"CHAOS_SERVER": server}
        set_up(env)
        env |= {"CHAOS_AMBIGUOUS": str(ambiguous)}
        project = Project(env, folder, broker.queue if broker else "durable")
        stage = Stage(project, cluster, broker, skew, replica, server_settings or {})
        held.callback(stage.close)
        if replica:
            stage.add_standby()
        yield stage


def set_up(env: dict[str, str]) -> None:
    """Set Django up in this process as in the workers, and make the tables."""
    os.environ.update(env)
    import django

    django.setup()
    from django.core.management import call_command

    call_command("migrate", run_syncdb=True, verbosity=0)
    if env.get("TEST_BROKER_URL"):
        import tests.celery_app

        tests.celery_app.app.set_default()


@contextlib.contextmanager
def serve_echo() -> Iterator[str]:
    """Serve each path as its own content; give the origin."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Echo)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


class _Echo(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        content = self.path.encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        return
