"""Starts labsessions: `python run.py` serves; `python run.py --help` lists the rest."""

from labsessions.cli import main

if __name__ == "__main__":  # worker processes of the simulator import this file
    main()
