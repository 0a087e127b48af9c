"""Contract suites that authors of forms and objectives subclass; they need pytest."""

import pytest

for _name in ("forms", "objectives"):
    pytest.register_assert_rewrite(f"{__name__}.{_name}")
