"""`python -m labsessions` does what `python run.py` does, also where there is only an installed wheel."""

from labsessions.cli import main

main()
