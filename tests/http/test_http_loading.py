"""What a service without tokens of users doesn't pay for."""

import subprocess
import sys


def test_cryptography_is_loaded_only_where_users_have_tokens() -> None:
    """Not by the command line and not by the composition root: it costs time at the start, and memory."""
    code = "import labsessions.cli, labsessions.bootstrap, sys; print({'jwt', 'cryptography'} & set(sys.modules))"
    printed = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)  # noqa: S603
    assert printed.stdout == "set()\n"
