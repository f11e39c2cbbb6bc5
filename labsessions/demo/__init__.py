"""`python run.py demo`: the service and the mock backend as real processes, five short labs, and a verdict.

It uses the service as any front end does, over HTTP, and judges by the backend's record and the API's answers.
Nothing of the service may import this package but the command line.
"""

from labsessions.demo.story import run_demo

__all__ = ["run_demo"]
