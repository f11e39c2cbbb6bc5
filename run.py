"""Starts labsessions: `python run.py` serves; `python run.py --help` lists the rest."""

from labsessions.cli import main

main()
