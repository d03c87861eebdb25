"""``python -m tests.golden.make 0.1.0``: write the golden history of a release."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path

FOLDER = Path(__file__).parent / "releases"


def main() -> int:
    """Fill a database, write it down, finish all runs, and write down what became of them."""
    (name,) = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings_process"
        os.environ["DATABASE_URL"] = f"sqlite:///{folder}/golden.sqlite3"
        os.environ["TEST_DURABLE"] = json.dumps({"DISPATCHER": "tests.quiet.Quiet"})
        import django

        django.setup()
        from django.core.management import call_command

        call_command("migrate", verbosity=0, run_syncdb=True)
        from tests.golden import rows, scenario

        for step in (scenario.declare, scenario.fill, scenario.leave):
            for kind in scenario.KINDS:
                step(kind)
        kept = list(rows.dump("default"))
        scenario.finish()
        kept.append({"ended": scenario.tell()})
        text = "".join(f"{json.dumps(row)}\n" for row in kept)
        for path in sys.path:  # of tracebacks: where it was made is nobody's business
            text = text.replace(f"{path}/", "") if path else text
        (FOLDER / f"{name}.jsonl").write_text(text)
        print(f"{len(kept) - 2} rows, {len(kept[-1]['ended'])} runs")
    return 0


if __name__ == "__main__":
    sys.exit(main())
