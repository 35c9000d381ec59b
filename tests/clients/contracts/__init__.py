"""What was released, held against what is here."""
