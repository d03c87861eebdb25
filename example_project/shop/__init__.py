"""Orders: stock, cooling-off, approval, payment, shipment, as one durable workflow."""
