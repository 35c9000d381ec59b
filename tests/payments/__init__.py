"""Orders, Stripe's pages where they are paid, and Stripe's word of what became of them."""
