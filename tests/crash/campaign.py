"""Play every scene once for each of its crash points, each time in processes of its own.

Note [Forked players]
    A player must be a process of its own, since it is killed; to start Python and Django for each of some
    thousand deaths would take hours. So one process loads everything, opens no connection and starts no thread,
    and every player is forked from it.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import shutil
import socket
import sqlite3
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from django.core.management import call_command
from django.db import connections

from durable_django.conf import settings
from durable_django.define.registry import registry
from durable_django.engine.expressions import compile_expression
from tests import databases
from tests.crash import broker, world
from tests.crash.faults import KINDS, Faults
from tests.crash.judge import judge
from tests.crash.play import play, take_over
from tests.crash.points import Points, is_change, watch_database
from tests.crash.scene import Scene

KILLED = -9
SAID = b'{"model": "m", "choices": [{"message": {"role": "assistant", "content": "hello"}}]}'


class Campaign:
    """The deaths of one store; ``folder`` is emptied for each."""

    def __init__(self, folder: Path, *, every: bool = False) -> None:
        self.folder = folder
        self.every = every
        self.deaths = 0
        self.faults = 0
        self.points: dict[str, int] = {}
        self.wrong: list[str] = []
        self.missed: set[str] = set()
        """Kinds of statements that were there without a fault, and not when they were to fail."""
        self._name = connections["default"].settings_dict["NAME"]
        self._vendor = connections["default"].vendor
        _fork(self._empty)
        if self._vendor == "sqlite":
            _copy(self._name, folder / "template.sqlite3")

    def run(self, scene: Scene, kind: str) -> int:
        """Kill a player at each crash point of a scene; return how many there are."""
        world.folder = self.folder / "world"
        state = registry.snapshot()
        scene.declare(kind)
        try:
            base = self._play(scene, kind, 0)
            _import_all(world.folder / "modules")
            number = 0
            while base is not None:
                number += 1
                if self._play(scene, kind, number, base) is None or len(self.wrong) > 3:
                    break
            return number - 1
        finally:
            registry.restore(state)

    def _play(self, scene: Scene, kind: str, number: int, base: Any = None) -> Any:
        """Return what was left behind, or None if there is no such point, or something is wrong."""
        self._reset()
        where = f"{scene.name} ({kind}, {self._vendor}), point {number}"
        code = _fork(lambda: self._first(scene, number))
        if code not in (0, KILLED):
            return self._fail(f"{where}: the player failed")
        if number and code == 0:
            return None
        if code == KILLED:
            self.deaths += 1
            if _fork(lambda: self._second(scene, base)):
                return self._fail(f"{where}, before {world.read('last')}")
            return base
        if _fork(lambda: self._judge(scene, None)):
            return self._fail(where)
        return json.loads((world.folder / "told").read_text())

    def strike(self, scene: Scene, kind: str, known: set[str], seeds: Sequence[int], share: float) -> int:
        """Let each kind of statement that is not ``known`` fail, and some at random.

        What changes something fails after it did; reads, and some of the others, fail in another way; with
        ``every`` each fails in all ways.

        Returns how many plays there were.
        """
        world.folder = self.folder / "world"
        state = registry.snapshot()
        scene.declare(kind)
        try:
            base = self._strike(scene, kind, Faults(""))
            if base is None:
                return 0
            _import_all(world.folder / "modules")
            plans = self._plan(base["shapes"], known, seeds, share)
            for plan in plans:
                told = self._strike(scene, kind, plan, base)
                if plan.of and told and not told["faults"]:
                    known.discard(plan.of)  # it is made only now and then: another scene may have it
            self.missed = (self.missed | set(base["shapes"])) - known
            return len(plans)
        finally:
            registry.restore(state)

    def _plan(
        self, shapes: Sequence[str], known: set[str], seeds: Sequence[int], share: float
    ) -> list[Faults]:
        ways, plans = KINDS[self._vendor], []
        for shape in shapes:
            if shape in known:
                continue
            known.add(shape)
            plans += [
                Faults(way, of=shape) for way in (ways if self.every else _choose(ways, shape, len(known)))
            ]
        for seed in seeds:
            chosen = ways if self.every else [ways[seed % len(ways)]]
            plans += [Faults(way, share=share, seed=seed) for way in chosen]
        return plans

    def _strike(self, scene: Scene, kind: str, faults: Faults, base: Any = None) -> Any:
        self._reset()
        if _fork(lambda: self._suffer(scene, faults, base)):
            return self._fail(f"{scene.name} ({kind}, {self._vendor}), {faults}")
        told = json.loads((world.folder / "told").read_text())
        self.faults += told["faults"]
        return told

    def _suffer(self, scene: Scene, faults: Faults, base: Any) -> None:
        self._begin()
        world.patient = True
        faults.watch()
        play(scene)
        made, shapes = faults.made, list(faults.shapes)
        faults.end()
        judge(scene, base, faults=made)
        told = json.loads((world.folder / "told").read_text())
        (world.folder / "told").write_text(json.dumps({**told, "shapes": shapes, "faults": made}))
        (world.folder / "modules").write_text(json.dumps(sorted(sys.modules)))

    def _fail(self, where: str) -> None:
        print(f"WRONG: {where}", file=sys.stderr, flush=True)  # at once: a long command may be ended early
        path = world.folder / "failure"
        self.wrong.append(f"{where}\n{path.read_text() if path.exists() else ''}")

    def _first(self, scene: Scene, number: int) -> None:
        self._begin()
        points = world.points = Points(number, every=self.every)
        points.on_death = lambda what: world.note("last", what[:200])
        watch_database(points)
        play(scene)
        (world.folder / "modules").write_text(json.dumps(sorted(sys.modules)))

    def _begin(self) -> None:
        if self._vendor == "postgresql":
            self._empty()
        if settings.DISPATCHER == broker.NAME:
            broker.clear()

    def _empty(self) -> None:
        databases.empty("default")

    def _second(self, scene: Scene, base: Any) -> None:
        world.points = Points(0)
        take_over(scene)
        self._judge(scene, base)

    def _judge(self, scene: Scene, base: Any) -> None:
        judge(scene, base)

    def _reset(self) -> None:
        shutil.rmtree(world.folder, ignore_errors=True)
        world.folder.mkdir()
        if self._vendor == "sqlite":
            for tail in ("-wal", "-shm"):
                Path(f"{self._name}{tail}").unlink(missing_ok=True)
            shutil.copyfile(self.folder / "template.sqlite3", self._name)


def _choose(ways: Sequence[str], shape: str, turn: int) -> list[str]:
    changes = shape.startswith("COMMIT") or is_change(shape)
    others = [ways[1 + turn % (len(ways) - 1)]] if len(ways) > 1 and (turn % 3 == 0 or not changes) else []
    return [ways[0], *others] if changes or len(ways) == 1 else others


def _import_all(path: Path) -> None:
    """Import what a player has imported, so that those to come find it."""
    for name in json.loads(path.read_text()) if path.exists() else ():
        with suppress(ImportError):
            importlib.import_module(name)
    # Its grammar is built at the first use.
    compile_expression("event.data.n == 1", allow_async=False).evaluate({"data": {"n": 1}})
    gc.collect()
    gc.freeze()


def _copy(source: str, target: Path) -> None:
    target.unlink(missing_ok=True)
    with sqlite3.connect(source) as old, sqlite3.connect(target) as new:
        old.backup(new)
    old.close()
    new.close()


def _fork(act: Callable[[], None]) -> int:
    """Do something in a process of its own; return its exit code, negative for a signal."""
    pid = os.fork()
    if pid:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    code = 1
    gc.disable()
    try:
        act()
        code = 0
    except BaseException:
        (world.folder / "failure").write_text(traceback.format_exc())
    finally:
        os._exit(code)


def migrate() -> None:
    """Make the tables, in a process of its own."""
    world.folder = Path(tempfile.gettempdir())
    if _fork(lambda: call_command("migrate", verbosity=0, run_syncdb=True, skip_checks=True)):
        raise SystemExit("the tables could not be made")


@contextmanager
def serving() -> Iterator[None]:
    """Answer every request from a process of its own, as ``world.server``: models by their form, all else ``pong``."""
    listener = socket.create_server(("127.0.0.1", 0))
    world.server = f"http://127.0.0.1:{listener.getsockname()[1]}"
    parent = os.getpid()
    pid = os.fork()
    if not pid:
        _serve(listener, parent)
    listener.close()
    try:
        yield
    finally:
        os.kill(pid, 9)
        os.waitpid(pid, 0)


def _serve(listener: socket.socket, parent: int) -> None:
    listener.settimeout(1)
    while os.getppid() == parent:
        try:
            line, _ = listener.accept()
        except TimeoutError:
            continue
        with line:
            line.settimeout(5)
            try:
                body = SAID if b"/v1/" in line.recv(65536) else b"pong"
                head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
                line.sendall(head.encode() + body)
            except OSError:
                continue  # a killed player
    os._exit(0)


def fight(
    folder: Path,
    chosen: list[tuple[Scene, str]],
    *,
    every: bool = False,
    seeds: Sequence[int] | None = None,
    share: float = 0.01,
    say: Callable[[str], None] = print,
) -> Campaign:
    """Run the campaign over scenes, of deaths or, with ``seeds``, of faults; say how many each saw."""
    known: set[str] = set()
    campaign = Campaign(folder, every=every)
    with serving():
        for scene, kind in chosen:
            began = time.monotonic()
            count = (
                campaign.run(scene, kind)
                if seeds is None
                else campaign.strike(scene, kind, known, seeds, share)
            )
            campaign.points[f"{scene.name} ({kind})"] = count
            say(f"{scene.name} ({kind}): {count} plays, {time.monotonic() - began:.1f} s")
            sys.stdout.flush()
    return campaign
