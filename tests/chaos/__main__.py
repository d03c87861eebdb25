"""``python -m tests.chaos``: random programs on real workers under random faults; exit code 1 for violations.

The programs follow from the seed; the instants of the faults do not, since processes are not reproducible.
"""

from __future__ import annotations

import argparse
import random
import signal
import sys
import time

from tests.chaos.programs import generate
from tests.chaos.stage import LEASE, Stage, open_stage

PROOFS = {
    "kill": ["kills", "take_overs"],
    "stop": ["zombies", "fence_refusals"],
    "repeat": ["redeliveries"],
    "leave": ["deploys"],
    "pause": ["pauses"],
    "bulk": ["bulk_operations"],
    "flush": ["flushes"],
    "beats": ["beats"],
    "restart": ["restarts"],
    "failover": ["failovers"],
}
"""What must have happened for a run to say anything about a kind of fault."""

MET = {"pause": "held_runs", "bulk": "bulk_rows"}
"""What it must have met, if it was asked for by name."""


def main() -> int:
    """Play and judge; print one line of figures, and each violation."""
    asked = read_arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is stopped
    programs = [generate(f"{asked.seed}-{number}") for number in range(asked.programs)]
    settings = dict(each.split("=", 1) for each in asked.postgres)
    with open_stage(
        asked.store, asked.dispatcher, asked.ambiguous, asked.skew, settings, asked.standby, asked.lease
    ) as stage:
        from tests.chaos.conductor import Conductor
        from tests.chaos.judge import judge

        began = time.monotonic()
        conductor = Conductor(stage, programs, asked.seconds, asked.interval, asked.faults, asked.outage)
        ended = conductor.play()
        violations = [] if ended else ["the programs have not come to an end"]
        violations += judge(programs)
        if conductor.done["deaths"]:
            violations.append(f"{conductor.done['deaths']} workers ended that nobody had killed")
        figures = count(stage) | dict(conductor.done)
        missing = find_missing(asked, figures)
        head = {
            "seed": asked.seed,
            "store": asked.store,
            "dispatcher": asked.dispatcher,
            "programs": len(programs),
        }
        tail = {"violations": len(violations), "seconds": round(time.monotonic() - began)}
        print(" ".join(f"{name}={value}" for name, value in (head | figures | tail).items()), flush=True)
        for each in violations[: asked.show]:
            print(f"VIOLATION {each}")
        for each in missing:
            print(f"VACUOUS no {each} happened: more --seconds, or a shorter --interval")
        if violations and asked.keep:
            keep_logs(stage, asked.keep)
    return 1 if violations or missing else 0


def read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seed", default=str(random.randrange(10**6)), help="of the programs (random)")
    parser.add_argument("--programs", type=int, default=1_000)
    parser.add_argument(
        "--seconds", type=float, default=60.0, help="over which programs and faults are spread"
    )
    parser.add_argument("--interval", type=float, default=2.0, help="seconds between two faults")
    parser.add_argument("--store", choices=["sqlite", "postgres"], default="sqlite")
    parser.add_argument("--dispatcher", choices=["local", "celery"], default="local")
    parser.add_argument(
        "--ambiguous", type=float, default=0.002, help="share of commits whose answer is lost"
    )
    parser.add_argument(
        "--faults",
        nargs="+",
        default=[],
        choices=[*PROOFS, "none"],
        help="only these (all that the profile has)",
    )
    parser.add_argument(
        "--outage", type=float, default=0.0, help="seconds at most that the server stays down"
    )
    parser.add_argument(
        "--skew", type=float, default=0.0, help="seconds by which the workers' clocks are wrong"
    )
    parser.add_argument(
        "--postgres", nargs="+", default=[], metavar="NAME=VALUE", help="settings of the PostgreSQL server"
    )
    parser.add_argument(
        "--standby",
        default="",
        choices=["sync", "async"],
        help="the PostgreSQL server has a standby of this kind, and fails over to it",
    )
    parser.add_argument("--lease", type=float, default=LEASE, help="seconds of the workers' leases")
    parser.add_argument("--show", type=int, default=20, help="violations to print")
    parser.add_argument("--keep", default="", help="folder for the logs of a run with violations")
    return parser.parse_args()


def count(stage: Stage) -> dict[str, int]:
    """Count what happened, in the tables and in the logs of the workers."""
    from durable_django.models import Attempt, BulkOperation, Run, Step
    from tests.chaos.ambiguity import MARK

    return {
        "runs": Run.objects.count(),
        "steps": Step.objects.count(),
        "failed_attempts": Attempt.objects.count(),
        "bulk_rows": sum(BulkOperation.objects.values_list("done", flat=True)),
        "take_overs": stage.count_logged("the lease of a run ended; it is taken over"),
        "fence_refusals": stage.count_logged("the run is owned by somebody else"),
        "ambiguous_commits": stage.count_logged(MARK),
        "repeated_verbs": stage.count_logged("store verb is repeated"),
    }


def find_missing(asked: argparse.Namespace, figures: dict[str, int]) -> list[str]:
    """Return the kinds of faults that were to happen and did not: the run proves nothing of them."""
    left_out = {"flush", "beats"} if asked.dispatcher == "local" else set()
    left_out |= {"restart"} if asked.store == "sqlite" else set()
    left_out |= set() if asked.standby else {"failover"}
    kinds = asked.faults or [kind for kind in PROOFS if kind not in left_out]
    wanted = [proof for kind in kinds if kind != "none" for proof in PROOFS[kind]]
    if asked.store == "postgres" and asked.ambiguous:
        wanted.append("ambiguous_commits")
    # Not in every short run does one of them meet anybody.
    wanted += [met for kind, met in MET.items() if kind in asked.faults]
    if asked.standby == "async":
        wanted.append("lost_events")
    return [each.replace("_", " ") for each in wanted if not figures.get(each)]


def keep_logs(stage: Stage, folder: str) -> None:
    import shutil
    from pathlib import Path

    shutil.copytree(
        stage.project.folder, Path(folder), dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.sock")
    )
    print(f"logs are in {folder}")


if __name__ == "__main__":
    sys.exit(main())
