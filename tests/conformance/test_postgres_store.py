"""The PostgreSQL store on a real server, held to the suite that every store is held to."""

from dashtam_core.testing import StoreConformance


class TestPostgresStore(StoreConformance):
    """Its `store` is the fixture of the whole test run: a fresh migrated database for each test."""
