from __future__ import annotations

import time
import uuid

from durable_django.ids import new_id


def test_an_id_is_a_uuid_of_version_7() -> None:
    """Version and variant stand where RFC 9562 wants them, before them the milliseconds of its making."""
    before = time.time_ns() // 1_000_000
    made = [new_id() for _ in range(100)]
    after = time.time_ns() // 1_000_000
    assert {(each.version, each.variant) for each in made} == {(7, uuid.RFC_4122)}
    assert all(before <= each.int >> 80 <= after for each in made)
    assert len({each.int & (1 << 62) - 1 for each in made}) == 100


def test_ids_are_in_the_order_in_which_they_were_made() -> None:
    """Those of one millisecond too, so that lists show rows in the order of their making."""
    made = [new_id() for _ in range(2_000)]
    assert len({each.int >> 80 for each in made}) < len(made)
    assert made == sorted(made)
