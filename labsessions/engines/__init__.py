"""Engines run the core. There is one: `embedded`, on the durable actors of the package `actors`."""
