"""Stripe webhooks: events, their order and their effects on orders and subscriptions."""
