"""The sentences of the behaviour page as a table; also an app whose workflows a real worker serves."""
