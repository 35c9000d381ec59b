"""What Prometheus is told: counted as it happens, by a few additions, and put into words when it asks."""
