"""`python -m labsessions` does what `python run.py` does, also where there is only an installed wheel."""

from labsessions.cli import main

if __name__ == "__main__":  # as in run.py
    main()
