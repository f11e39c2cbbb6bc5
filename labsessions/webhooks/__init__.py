"""Webhooks: what happens to sessions is told to endpoints of the operator's, signed, in order, at least once.

One durable actor per endpoint reads the committed events from its own cursor on. Nothing here is ever in the way of a
cleanup: no wake-up of a user, no slot, no rate and no circuit breaker is used.
"""
