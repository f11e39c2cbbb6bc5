"""What is logged of webhooks: exact texts, explained in the page on webhooks. Ids and figures are bound as fields."""

from typing import Final

ADDED: Final = "[Webhooks] Endpoint added"
REMOVED: Final = "[Webhooks] Endpoint is no longer configured"
FAILED: Final = "[Webhooks] ⚠️ Delivery failed"
RECOVERED: Final = "[Webhooks] ✅ Delivered again"
GIVEN_UP: Final = "[Webhooks] ❌ Event given up"
DISABLED: Final = "[Webhooks] ❌ Endpoint disabled"
LOST: Final = "[Webhooks] ❌ Events lost"
ENABLED: Final = "[Webhooks] Endpoint enabled"
REPLAY: Final = "[Webhooks] Replay begins"
REPLAYED: Final = "[Webhooks] Dead letters sent again"
TROUBLE: Final = "[Webhooks] ⚠️ Events cannot be read"
BROKEN: Final = "[Webhooks] ❌ Endpoint cannot be served"
