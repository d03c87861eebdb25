"""Drawings: heights, gaps and scales."""

from __future__ import annotations

import pytest

from durable_django.admin.charts import Series, draw_bars, draw_lines, find_top, find_top_time, trace


@pytest.mark.parametrize(
    ("highest", "top"), [(0, 1), (0.3, 0.4), (1, 1), (7, 8), (11, 20), (99, 100), (100, 100), (4_100, 5_000)]
)
def test_a_scale_ends_with_a_round_number(highest: float, top: float) -> None:
    """It is never below the highest value, and rarely more than twice that."""
    assert find_top(highest) == pytest.approx(top)


@pytest.mark.parametrize(
    ("highest", "top"), [(0.2, 0.2), (1, 1), (3, 5), (61, 120), (3_601, 7_200), (90_000, 172_800)]
)
def test_a_scale_of_time_ends_with_a_round_time(highest: float, top: float) -> None:
    """Seconds, minutes, hours and days are counted as people do."""
    assert find_top_time(highest) == pytest.approx(top)


def test_bars_stand_on_one_another() -> None:
    """Heights are in proportion, nothing is drawn for nothing, and the table has every number."""
    series = [
        Series(name="good", code="a", values=[2, 0]),
        Series(name="bad", code="b", values=[2, 0]),
    ]
    chart = draw_bars("t", "c", series, ["1", "2"], ["1"], str)
    assert [bar["d"] for bar in chart.bars] == [
        "M50.0 102.0h400.0v98.0h-400.0z",
        "M50.0 4.0h400.0v98.0h-400.0z",
    ]
    assert chart.rows == [("1", ["2", "2"]), ("2", ["0", "0"])]
    assert not chart.empty


def test_a_line_is_broken_where_nobody_looked() -> None:
    """A gap is no zero; the table says so too."""
    chart = draw_lines("t", "c", [Series(name="n", code="n", values=[1, None, 1])], ["1", "2", "3"], [], str)
    assert chart.lines[0]["d"].count("M") == 2
    assert chart.rows[1] == ("2", ["–"])
    assert trace([], 1.0) == ""
    assert draw_lines("t", "c", [Series(name="n", code="n", values=[None])], ["1"], [], str).empty
