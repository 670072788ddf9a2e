import pytest

pytest.register_assert_rewrite("conformance.store_suite", "conformance.store_rows")
