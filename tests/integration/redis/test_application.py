from dashtam_core import Dashtam, Settings
from dashtam_core.accounts import ListAccounts
from dashtam_core.identity import ExternalSubject
from dashtam_core.kernel import Success
from dashtam_core.messaging import Rendering
from dashtam_redis import RedisShared, plugin
from integration.redis.servers import OwnServer, client

TEXT = Rendering("text", lambda page: repr(page).encode())


async def asked_twice(url: str) -> None:
    """Opens Dashtam with a cache there, and asks."""
    settings = Settings(store_url="memory:", cache_url=url)
    async with Dashtam.open(settings=settings, plugins=[plugin]) as dashtam:
        assert isinstance(dashtam.shared, RedisShared)
        ann = dashtam.acting_as(ExternalSubject("ann"))
        answers = [await ann.render(ListAccounts(), TEXT) for _ in range(2)]
    assert answers[0] == answers[1]
    assert isinstance(answers[0], Success)


async def test_dashtam_keeps_answers_there_sealed(redis_url: str) -> None:
    """What is there says nothing of whom or what it is about."""
    await asked_twice(redis_url)
    async with client(redis_url) as administrator:
        keys = await administrator.keys("*")
        assert [key.split(b":")[1] for key in keys] == [b"cache", b"cache"]
        assert b"Page" not in b"".join(await administrator.mget(keys))


async def test_dashtam_goes_on_without(own_server: OwnServer) -> None:
    """Also from the start: nobody asks whether it is there."""
    own_server.kill()
    await asked_twice(own_server.url)
