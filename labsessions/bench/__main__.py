"""The benchmark's own server as a process: `python -m labsessions.bench bare --ready-file PATH`."""

import argparse
from pathlib import Path

import uvloop

from labsessions.bench.bare import serve_bare

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("server", choices=["bare"])
    parser.add_argument("--ready-file", type=Path, required=True)
    uvloop.run(serve_bare(parser.parse_args().ready_file))
