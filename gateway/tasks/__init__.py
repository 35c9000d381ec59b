"""Background tasks that run periodically."""
