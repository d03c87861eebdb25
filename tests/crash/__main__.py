"""``python -m tests.crash``: play scenes on the database of DATABASE_URL."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

import django


def main() -> int:
    """Play what the command line names; return 0 if nothing went wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.crash", description=__doc__)
    parser.add_argument("--scenes", default="", help="names, comma-separated (all)")
    parser.add_argument("--kinds", default="def,async", help="def, async, or both")
    parser.add_argument("--every", action="store_true", help="also the points between reads")
    parser.add_argument("--part", default="1/1", help="number/parts: of the scenes, this part")
    parser.add_argument("--json", default="", metavar="FILE", help="write what was found")
    options = parser.parse_args()

    django.setup()
    from tests.crash.campaign import fight
    from tests.crash.scene import load

    scenes = load()
    names = options.scenes.split(",") if options.scenes else list(scenes)
    pairs = [(scenes[name], kind) for name in names for kind in options.kinds.split(",")]
    number, parts = map(int, options.part.split("/"))
    with tempfile.TemporaryDirectory() as folder:
        done = fight(Path(folder), pairs[number - 1 :: parts], every=options.every)
    if options.json:
        Path(options.json).write_text(
            json.dumps({"deaths": done.deaths, "points": done.points, "wrong": done.wrong})
        )
    print(f"{done.deaths} deaths, {len(done.wrong)} wrong")
    print("\n".join(done.wrong))
    return 1 if done.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
