"""The operator's dashboard: a page and its files. It holds no data; all of that comes over the admin API."""

from labsessions.http.dashboard.routes import FILE, DashboardRoutes

__all__ = ["FILE", "DashboardRoutes"]
