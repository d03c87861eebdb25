"""Writes ``sales.csv`` beside this file; the same bytes every time.

Run it with ``python example_project/imports/data/generate_sales.py``.
"""

from __future__ import annotations

import csv
import random
from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

ROWS = 5_200  # not a multiple of the chunk size, so the last chunk is a short one
SEED = 20240101
HEADER = ["date", "region", "product", "quantity", "amount"]
REGIONS = ["Île-de-France", "Bretagne", "Bayern", "Nordrhein-Westfalen", "Cataluña", "Lombardia", "Wallonie"]
PRICES = {
    "Espresso machine": "449.00",
    "Coffee grinder": "129.95",
    "Kettle, 1.7 l": "39.90",
    "Moka pot": "27.49",
    "Filter papers (100)": "4.19",
    'Mug "Good morning"': "9.99",
    "Arabica beans, 1 kg": "21.30",
}


def write_sales(target: Path) -> None:
    """Write the file.

    Args:
        target: where to; overwritten.
    """
    with target.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(HEADER)
        writer.writerows(generate_rows())


def generate_rows() -> Iterator[list[str]]:
    """Yield the rows after the header, the same ones on every machine."""
    chance = random.Random(SEED)
    for _ in range(ROWS):
        yield _generate_row(chance)


def _generate_row(chance: random.Random) -> list[str]:
    sold_on = date(2024, 1, 1) + timedelta(days=int(chance.random() * 366))
    region = _pick(chance, REGIONS)
    product = _pick(chance, list(PRICES))
    quantity = 1 + int(chance.random() ** 3 * 24)
    discount = Decimal(_pick(chance, ["1", "1", "1", "0.95", "0.9"]))
    amount = (Decimal(PRICES[product]) * quantity * discount).quantize(Decimal("0.01"))
    return [sold_on.isoformat(), region, product, str(quantity), str(amount)]


def _pick(chance: random.Random, values: list[str]) -> str:
    # random() alone is promised to stay the same across Python versions; choice() is not.
    return values[int(chance.random() * len(values))]


if __name__ == "__main__":
    write_sales(Path(__file__).with_name("sales.csv"))
