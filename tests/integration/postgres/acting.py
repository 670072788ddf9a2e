"""SQL as one of the roles, for what somebody could do who got past our own code."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import asyncpg

from conftest import APP_ROLE, Database
from dashtam_core.kernel import Subject

OWNER, APP, WORKER = "owner", "app", "worker"


@asynccontextmanager
async def acting(
    database: Database, role: str, subject: Subject | None = None
) -> AsyncGenerator["asyncpg.Connection[Any]"]:
    """A transaction of the owner, the application or its worker."""
    connection = await asyncpg.connect(database.admin_url if role == OWNER else database.app_url)
    try:
        async with connection.transaction():
            await connection.execute("SET LOCAL search_path TO dashtam")
            if subject is not None:
                await connection.execute("SELECT set_config('app.subject', $1, true)", str(subject.user_id))
            if role == WORKER:
                await connection.execute(f"SET LOCAL ROLE {APP_ROLE}_worker")
            yield connection
    finally:
        await connection.close()


async def tampering(database: Database, *statements: str) -> None:
    """What only the owner can do, after taking the triggers off the trail."""
    async with acting(database, OWNER) as owner:
        tables = await owner.fetch(
            "SELECT tgrelid::regclass::text AS name FROM pg_trigger WHERE tgname = 'append_only'"
        )
        for table in tables:
            await owner.execute(f"ALTER TABLE {table['name']} DISABLE TRIGGER append_only")
        for statement in statements:
            await owner.execute(statement)
        for table in tables:
            await owner.execute(f"ALTER TABLE {table['name']} ENABLE ALWAYS TRIGGER append_only")


def as_login(url: str, name: str, password: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=f"{name}:{password}@{parts.hostname}:{parts.port}").geturl()
