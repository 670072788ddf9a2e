import pytest

pytest.register_assert_rewrite(
    *(
        f"conformance.{module}"
        for module in (
            "audit_suite",
            "outbox_suite",
            "person_suite",
            "record_rows",
            "store_rows",
            "store_suite",
            "unit_suite",
        )
    )
)
