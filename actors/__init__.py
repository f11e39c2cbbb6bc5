"""A durable-actor runtime on Pykka, asyncio and SQLite. It knows nothing of labs, HTTP or settings."""
