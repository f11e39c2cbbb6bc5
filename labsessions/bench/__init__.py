"""`python run.py bench`: how fast the service is, against a bare aiohttp server on the same machine in the same run.

Service, mock backend and the bare server are real processes; the load client is this one. Nothing of the service may
import this package but the command line, and that only when the command is given.
"""
