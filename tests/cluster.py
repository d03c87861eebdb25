"""A PostgreSQL server of a test's own, which may be stopped and killed without harm to others; and its standby."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

import psycopg

from tests.waiting import wait_until

OWNER = "postgres"
"""Who runs the server if the tests run as root, which PostgreSQL refuses to be."""

DEFAULTS = {
    "fsync": "off",  # the host stays up: nothing that was committed is lost when the server is killed
    "listen_addresses": "127.0.0.1",
    "max_connections": "150",
    "shared_buffers": "64MB",
}


def find_programs() -> Path | None:
    """Return the folder of ``initdb`` and ``pg_ctl``, or None if they are not installed."""
    found = shutil.which("pg_ctl")
    if found:
        return Path(found).resolve().parent
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"))
    return folders[-1].parent if folders and (os.getuid() or _has_owner()) else None


def _has_owner() -> bool:
    return any(each.pw_name == OWNER for each in pwd.getpwall())


class Cluster:
    """A server in a folder of its own; ``close`` stops it and deletes all of it.

    Args:
        settings: Lines of postgresql.conf.
        primary: The server whose copy and standby this one becomes.
    """

    def __init__(self, settings: Mapping[str, str] | None = None, primary: Cluster | None = None) -> None:
        programs = find_programs()
        if programs is None:
            raise RuntimeError("initdb and pg_ctl are not installed")
        self._programs = programs
        self._folder = Path(tempfile.mkdtemp(prefix="durable-cluster-"))
        if not os.getuid():
            shutil.chown(self._folder, OWNER)
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port: int = probe.getsockname()[1]
        if primary is None:
            self._call("initdb", "-D", self._data, "-U", OWNER, "--auth=trust", "--no-sync", "-E", "UTF8")
        else:
            source = ("-h", "127.0.0.1", "-p", str(primary.port), "-U", OWNER)
            self._call("pg_basebackup", "-D", self._data, *source, "-R", "--checkpoint=fast", "--no-sync")
        self.configure({**DEFAULTS, "unix_socket_directories": str(self._folder), **(settings or {})})
        self.start()

    @property
    def url(self) -> str:
        """The address of its first database."""
        return f"postgres://{OWNER}@127.0.0.1:{self.port}/{OWNER}"

    @property
    def _data(self) -> str:
        return str(self._folder / "data")

    def configure(self, settings: Mapping[str, str]) -> None:
        """Add settings, which hold from the next start on."""
        with (self._folder / "data" / "postgresql.conf").open("a") as sink:
            sink.writelines(f"{name} = '{value}'\n" for name, value in settings.items())

    def start(self) -> None:
        """Start the server and return when it answers."""
        options = f"-p {self.port}"
        self._call("pg_ctl", "-D", self._data, "-l", self._data + "/log", "-w", "-o", options, "start")
        self._runs = True

    def stop(self, mode: str = "immediate") -> None:
        """Stop the server; ``immediate`` is a crash, after which it recovers from its log."""
        self._call("pg_ctl", "-D", self._data, "-m", mode, "-w", "stop")
        self._runs = False

    def restart(self, mode: str = "immediate") -> None:
        """Stop the server and start it again."""
        self.stop(mode)
        self.start()

    def wait_for_standby(self, *, synchronous: bool) -> None:
        """Return once a standby follows; from then on, if ``synchronous``, no commit is answered before it has it."""
        with psycopg.connect(self.url, autocommit=True) as server:
            if synchronous:
                server.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
                server.execute("SELECT pg_reload_conf()")
            states = ("quorum", "sync") if synchronous else ("async",)
            asked = "SELECT 1 FROM pg_stat_replication WHERE state = 'streaming' AND sync_state = ANY(%s)"
            wait_until(
                lambda: server.execute(asked, [list(states)]).fetchone(),
                timeout=60,
                what="a standby that follows",
            )

    def wait_until_followed(self) -> None:
        """Return once the standby has all that is committed now."""
        with psycopg.connect(self.url, autocommit=True) as server:
            (place,) = server.execute("SELECT pg_current_wal_lsn()").fetchone() or ("",)
            asked = "SELECT 1 FROM pg_stat_replication WHERE flush_lsn >= %s::pg_lsn"
            wait_until(
                lambda: server.execute(asked, [place]).fetchone(),
                timeout=60,
                what="the standby's catching up",
            )

    def take_the_place_of(self, primary: Cluster) -> None:
        """Become the primary, at the port of the one that was, which is gone."""
        if self._runs:
            self.stop("fast")
        self.port = primary.port
        self.start()
        self._call("pg_ctl", "-D", self._data, "-w", "promote")

    def close(self) -> None:
        """Stop the server, if it runs, and delete its folder."""
        subprocess.run(
            self._command("pg_ctl", "-D", self._data, "-m", "immediate", "stop"), capture_output=True
        )
        shutil.rmtree(self._folder, ignore_errors=True)

    def _call(self, *command: str) -> None:
        # Output to a file: the server inherits it and would keep a pipe open for ever.
        with tempfile.TemporaryFile() as output:
            done = subprocess.run(
                self._command(*command),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd="/",
                timeout=90,
            )
            if done.returncode:
                output.seek(0)
                raise RuntimeError(f"{command[0]} failed:\n{output.read().decode(errors='replace')}")

    def _command(self, program: str, *arguments: str) -> list[str]:
        as_owner = [] if os.getuid() else ["runuser", "-u", OWNER, "--"]
        return [*as_owner, str(self._programs / program), *arguments]
