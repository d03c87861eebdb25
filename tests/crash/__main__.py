"""``python -m tests.crash --store postgres --broker rabbitmq``: kill a process at every point, or let the store fail.

Without ``--store`` the scenes are played on the database that DATABASE_URL names, with the settings in force.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

import django


def main() -> int:
    """Play what the command line names; return 0 if nothing went wrong."""
    options = read_arguments()
    if options.list:
        return list_uses()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if not options.store:
            return play(options, folder)
        from tests.crash.ground import laid

        with laid(options.store, options.broker, folder, options.isolation):
            return play(options, folder)


def read_arguments() -> argparse.Namespace:
    """Return what the command line says."""
    parser = argparse.ArgumentParser(prog="python -m tests.crash", description=__doc__)
    parser.add_argument("--store", default="", choices=["sqlite", "postgres"], help="make a database there")
    parser.add_argument("--broker", default="", choices=["redis", "rabbitmq"], help="send messages for real")
    parser.add_argument(
        "--isolation",
        default="",
        choices=["repeatable-read", "serializable"],
        help="of every transaction (read committed); PostgreSQL only",
    )
    parser.add_argument("--scenes", default="", help="names, comma-separated (all)")
    parser.add_argument("--kinds", default="def,async", help="def, async, or both")
    parser.add_argument(
        "--every",
        action="store_true",
        help="also points that outlive nothing; with --faults, every statement in every way",
    )
    parser.add_argument("--faults", default=0, type=int, metavar="SEEDS", help="faults, not deaths")
    parser.add_argument("--share", default=0.01, type=float, help="of statements that fail, a seed (0.01)")
    parser.add_argument("--part", default="1/1", help="number/parts: of the scenes, this part")
    parser.add_argument("--list", action="store_true", help="tell which scenes use which tool, and end")
    parser.add_argument("--json", default="", metavar="FILE", help="write what was found")
    return parser.parse_args()


def list_uses() -> int:
    """Print each tool with the scenes that use it; return 1 if one has none."""
    from tests.crash.tools import find_scenes

    found = find_scenes()
    for tool, scenes in found.items():
        print(f"{tool}: {', '.join(scenes) or 'NO SCENE'}")
    return 0 if all(found.values()) else 1


def play(options: argparse.Namespace, folder: Path) -> int:
    """Play the scenes, print what came of it, and return the exit code."""
    django.setup()
    import tests.celery_app  # noqa: F401  the project's Celery app
    from tests.crash.campaign import fight, migrate
    from tests.crash.scene import load

    if options.store:
        migrate()
    scenes = load()
    names = options.scenes.split(",") if options.scenes else list(scenes)
    pairs = [(scenes[name], kind) for name in names for kind in options.kinds.split(",")]
    number, parts = map(int, options.part.split("/"))
    seeds = range(options.faults) if options.faults else None
    chosen = pairs[number - 1 :: parts]
    done = fight(folder, chosen, every=options.every, seeds=seeds, share=options.share)
    if options.json:
        told = {
            "deaths": done.deaths,
            "faults": done.faults,
            "points": done.points,
            "wrong": done.wrong,
            "missed": sorted(done.missed),
        }
        Path(options.json).write_text(json.dumps(told))
    print(f"{done.deaths} deaths, {done.faults} faults, {len(done.wrong)} wrong, {len(done.missed)} missed")
    print("\n".join(done.wrong))
    return 1 if done.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
