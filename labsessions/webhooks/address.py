"""An endpoint's address as it may be shown: paths and queries of webhooks often hold a key."""

from urllib.parse import urlsplit


def without_secrets(url: str) -> str:
    """Scheme and host."""
    parts = urlsplit(url)
    more = parts.path.strip("/") or parts.query
    return f"{parts.scheme}://{parts.netloc}/{'…' if more else ''}"
