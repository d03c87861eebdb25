"""Measurements of the engine; ``python -m benchmarks`` lists them."""
