"""A RabbitMQ node of a test's own, whose alarms may be set off without harm to others."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import uuid
from pathlib import Path


def find_scripts() -> Path | None:
    """Return the folder of ``rabbitmq-server`` and ``rabbitmqctl`` as RabbitMQ ships them, or None."""
    # Those in the PATH of Debian change the user and forget the environment.
    found = sorted(Path("/usr/lib/rabbitmq/lib").glob("rabbitmq_server-*/sbin/rabbitmq-server"))
    if found:
        return found[-1].parent
    named = shutil.which("rabbitmq-server")
    return Path(named).parent if named and shutil.which("rabbitmqctl") else None


class RabbitNode:
    """A node in a folder of its own; ``close`` stops it and deletes all of it."""

    def __init__(self) -> None:
        scripts = find_scripts()
        if scripts is None:
            raise RuntimeError("rabbitmq-server is not installed")
        self._scripts = scripts
        self._folder = Path(tempfile.mkdtemp(prefix="durable-rabbit-"))
        self._name = f"durable-{uuid.uuid4().hex[:8]}@localhost"
        self.port, distribution = _find_ports(2)
        (self._folder / "plugins").write_text("[].")
        self._env = {
            **os.environ,
            "HOME": str(self._folder),  # of the cookie by which the two programs know each other
            "RABBITMQ_NODENAME": self._name,
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(distribution),
            "RABBITMQ_MNESIA_BASE": str(self._folder / "data"),
            "RABBITMQ_LOG_BASE": str(self._folder / "log"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self._folder / "plugins"),
            "RABBITMQ_CONFIG_FILE": str(self._folder / "none"),
            "RABBITMQ_CONF_ENV_FILE": str(self._folder / "none"),
            "RABBITMQ_PID_FILE": str(self._folder / "pid"),
        }
        with (self._folder / "output").open("wb") as sink:
            self._server = subprocess.Popen(
                [str(scripts / "rabbitmq-server")],
                env=self._env,
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            self._control("wait", "--timeout", "120", str(self._folder / "pid"))
        except BaseException:
            self.close()
            raise

    @property
    def url(self) -> str:
        return f"amqp://guest:guest@127.0.0.1:{self.port}//"

    def set_off_alarm(self) -> None:
        """Let the node believe that it has no memory left: it reads from no publisher any more."""
        self._control("set_vm_memory_high_watermark", "0")

    def end_alarm(self) -> None:
        self._control("set_vm_memory_high_watermark", "0.4")

    def close(self) -> None:
        """Stop the node and delete its folder."""
        self._server.terminate()
        try:
            self._server.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(self._server.pid, 9)
            self._server.wait(10)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _control(self, *arguments: str) -> None:
        command = [str(self._scripts / "rabbitmqctl"), "-n", self._name, *arguments]
        done = subprocess.run(command, env=self._env, capture_output=True, text=True, timeout=150)
        if done.returncode:
            said = (self._folder / "output").read_text()[-2000:]
            raise RuntimeError(f"rabbitmqctl {arguments[0]} failed:\n{done.stderr}\n{said}")


def _find_ports(number: int) -> list[int]:
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(number)]
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports
