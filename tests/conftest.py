"""Options of the whole suite."""

import os


def pytest_xdist_auto_num_workers() -> int:
    """One process more than there are cores: tests of the real process wait more than they work."""
    return (os.cpu_count() or 1) + 1
