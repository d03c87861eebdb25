"""Sales from a CSV file, imported by one workflow run per chunk and summed up by the last."""
