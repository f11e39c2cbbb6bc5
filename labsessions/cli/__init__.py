"""The command line: `serve` (which is also what no command means), `backup`, `restore`, `doctor` and the rest.

`root` has the application and what commands share; one module for each group of commands. Only what `--help` needs is
imported here: a command imports what it needs itself, so that each starts quickly.
"""

import sys

from labsessions.cli import acting, checking, data, looking, orphans, proofs, secrets, serving, tail, webhooks
from labsessions.cli.root import app
from labsessions.process import keep_files_private

__all__ = ["app", "main"]

# Each has added its commands to `app` when it was imported; this is the order of `--help`.
_ORDER = [
    each.__name__ for each in (serving, checking, secrets, looking, acting, tail, orphans, webhooks, data, proofs)
]
app.registered_commands.sort(key=lambda each: _ORDER.index(getattr(each.callback, "__module__", "")))


def main() -> None:
    """Run the command line of this process."""
    arguments = sys.argv[1:]
    if not arguments or (arguments[0].startswith("-") and arguments[0] not in {"--help", "--version"}):
        arguments = ["serve", *arguments]
    keep_files_private()
    app(args=arguments, prog_name="labsessions")
