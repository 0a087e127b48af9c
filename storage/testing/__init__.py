"""Contract suites for authors of plug-ins: what a store, a source, a dataset or a form must do.

This package needs pytest, which an install of Lepton does not bring; nothing else of Lepton
imports it. A test module subclasses a contract and gives its fixtures:

    from storage.testing.sources import SourceContract

    class TestMySource(SourceContract):
        @pytest.fixture
        def source(self):
            return MySource(url="memory://rows")

        @pytest.fixture
        def expected_rows(self):
            return 120

The contracts: `stores.StoreContract`, `datasets.DatasetContract` (on a store of yours),
`sources.SourceContract` and `forms.FormContract`.
"""

import pytest

for _name in ("stores", "datasets", "dataset_edits", "sources", "forms"):
    pytest.register_assert_rewrite(f"{__name__}.{_name}")
