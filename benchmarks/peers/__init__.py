"""The same works on other engines, each in a process of the Python that has them installed."""
