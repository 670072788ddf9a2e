import attrs
from sqlalchemy import insert, select

from dashtam_core.identity import ApiToken
from dashtam_postgres._accounts import Unit
from dashtam_postgres._tables import api_token


@attrs.frozen
class PostgresTokens:
    unit: Unit

    async def add(self, token: ApiToken, /) -> None:
        row = attrs.asdict(token) | {"permissions": sorted(token.permissions)}
        await self.unit.connection.execute(insert(api_token).values(row))

    async def find(self, token_hash: bytes, /) -> ApiToken | None:
        query = select(api_token).where(api_token.c.token_hash == token_hash)
        row = (await self.unit.connection.execute(query)).first()
        if row is None:
            return None
        return ApiToken(
            token_id=row.token_id,
            user_id=row.user_id,
            name=row.name,
            token_hash=row.token_hash,
            permissions=frozenset(row.permissions),
            created_at=row.created_at,
        )
