"""The API of operators, below `/api/v1/admin`: one group of routes for each port that it is about."""
