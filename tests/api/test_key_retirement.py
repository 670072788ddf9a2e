"""The wrappings of the root key, on each store."""

from dashtam_core.store import Store, identity_store


async def test_the_last_key_is_never_dropped(data: Store) -> None:
    """Two operators who each retire the other's key at one moment leave one that opens the store."""
    keys = identity_store(data).keys
    assert await keys.add("first", b"1", beside=())
    assert await keys.add("second", b"2", beside=["first"])
    for dropped in ("first", "second"):
        await keys.drop(dropped)
    assert await keys.wrappings() == {"second": b"2"}
