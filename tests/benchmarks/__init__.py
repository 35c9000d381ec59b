"""What a request costs, beside what the same request costs elsewhere, in one run on one machine."""
