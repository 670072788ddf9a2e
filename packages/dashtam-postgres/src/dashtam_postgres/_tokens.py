import attrs
from sqlalchemy import insert, select

from dashtam_core.identity import ApiToken
from dashtam_postgres._accounts import Unit
from dashtam_postgres._tables import api_token


@attrs.frozen
class PostgresTokens:
    unit: Unit

    async def add(self, token: ApiToken, /) -> None:
        await self.unit.connection.execute(insert(api_token).values(attrs.asdict(token)))

    async def find(self, token_hash: bytes, /) -> ApiToken | None:
        query = select(api_token).where(api_token.c.token_hash == token_hash)
        row = (await self.unit.connection.execute(query)).mappings().first()
        return None if row is None else ApiToken(**row)
