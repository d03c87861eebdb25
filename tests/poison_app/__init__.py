"""An app whose workflows kill the process that executes them."""
