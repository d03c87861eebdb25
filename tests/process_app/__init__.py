"""An app whose workflows leave traces outside the database; for tests that start and kill processes."""
