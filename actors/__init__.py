"""A durable-actor runtime on Pykka, asyncio and SQLite. It knows nothing of labs, HTTP or settings.

One actor per id, found by name, single-threaded, with private durable storage (a cell) and one alarm; resident
in memory only while it has something to do. Read `runtime` for how the parts meet, `actor` for what an actor
author writes, `errors` for what may go wrong. The semantics follow Cloudflare's Durable Objects where they are
good: get-or-activate, output gate, at-least-once alarms; state, alarm and projected rows are one transaction.
"""
