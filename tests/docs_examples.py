"""The example suite of the page on testing, for the tests that run it as it stands."""

import re

from processes import ROOT

PAGE = ROOT / "labsessions" / "docs" / "testing.md"


def example_suite() -> dict[str, str]:
    """Source by module name."""
    conftest, module = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    return {"conftest": conftest, "test_labs": module}
