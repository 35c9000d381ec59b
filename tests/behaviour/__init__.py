"""What the service promises, stated once and held over both protocols, on both databases."""
