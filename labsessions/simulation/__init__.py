"""`python run.py simulate`: the real runtime, engine, core and cleaner under virtual time, with every fault there is.

One integer, the seed, decides all that happens: what users do, when time passes, what fails, when the process dies.
After every step the promises of the contract are checked (`invariants`). Nothing here may copy how the service
works – the ledger knows only what was asked, answered, stored and called. Nothing of the service itself may import
this package but the command line.
"""

from labsessions.simulation.campaign import Campaign, run_campaign
from labsessions.simulation.simulator import simulate
from labsessions.simulation.trace import ViolationError

__all__ = ["Campaign", "ViolationError", "run_campaign", "simulate"]
