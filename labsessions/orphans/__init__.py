"""VMs that the backend lists and no session speaks of: which they are, and their deletion on an operator's order.

`kept` knows which VMs are spoken of, `sweep` compares and deletes.
"""

from labsessions.orphans.sweep import OrphanHunt

__all__ = ["OrphanHunt"]
