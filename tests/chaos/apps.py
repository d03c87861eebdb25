from __future__ import annotations

import os

from django.apps import AppConfig

from tests.chaos import ambiguity, skew


class ChaosConfig(AppConfig):
    name = "tests.chaos"

    def ready(self) -> None:
        if share := float(os.environ.get("CHAOS_AMBIGUOUS", "0")):
            ambiguity.install(share)
        if seconds := float(os.environ.get("CHAOS_SKEW", "0")):
            skew.install(seconds)
