"""What ``durable dev`` and ``durable demo`` share: the child that serves, and lines about what happens."""
