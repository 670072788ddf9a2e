"""The suites for small ports: the vault of personal data, signers, keyrings and clocks."""

from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from dashtam_core.audit import PersonalVault, Signer, VerifierKey
from dashtam_core.identity import Keyring
from dashtam_core.kernel import Clock, Subject
from dashtam_core.testing._conformance import Conformance
from dashtam_core.testing.samples import ANN, BEN

type Erase = Callable[[Subject], Awaitable[object]]

SAID = b'{"ip_address":"192.0.2.1","filename":"taxes of Ann.ofx"}'


async def sealed_by(vault: PersonalVault, person: Subject, data: bytes = SAID) -> bytes:
    return (await vault.sealing(person.user_id))(data)


async def opened(vault: PersonalVault, person: Subject, sealed: bytes) -> bytes | None:
    """What opens; refused is nothing, and says nothing of what was sealed."""
    try:
        return await vault.open(person.user_id, sealed)
    except ValueError as error:
        return b"told" if "taxes" in str(error) else None


class PersonalVaultConformance(Conformance):
    """The promises of the port `PersonalVault`. The fixture `vault` gives one; `erase` what erases a person."""

    @pytest.fixture
    def erase(self) -> Erase:
        """How the store behind the vault destroys a person's keys. Override it where there is one."""

        async def nothing_to_do(_: Subject) -> None: ...

        return nothing_to_do

    @pytest.mark.parametrize("data", [SAID, b"", bytes(range(256)) * 100])
    async def test_what_was_sealed_opens(self, vault: PersonalVault, data: bytes) -> None:
        """Who has the key reads what was said, as often as they like."""
        sealed = await sealed_by(vault, ANN, data)
        assert [await vault.open(ANN.user_id, sealed) for _ in range(2)] == [data, data]

    async def test_the_seal_tells_nothing(self, vault: PersonalVault) -> None:
        """The same data is sealed differently each time, and no part of it shows."""
        sealed = [await sealed_by(vault, person) for person in (ANN, ANN, BEN)]
        assert len(set(sealed)) == 3
        for each in sealed:
            assert not any(SAID[place : place + 6] in each for place in range(len(SAID) - 6))

    async def test_nobody_opens_what_is_anothers(self, vault: PersonalVault) -> None:
        """What one person's key sealed is nothing to another, whether or not they have a key."""
        sealed = await sealed_by(vault, ANN)
        assert await opened(vault, BEN, sealed) is None
        await sealed_by(vault, BEN)
        assert await opened(vault, BEN, sealed) is None
        assert await vault.open(ANN.user_id, sealed) == SAID

    async def test_who_was_erased_is_unreadable(self, vault: PersonalVault, erase: Erase) -> None:
        """Once the person is erased and forgotten nothing of theirs opens, and nobody else's is lost."""
        vault.forget(ANN.user_id)
        hers, his = await sealed_by(vault, ANN), await sealed_by(vault, BEN)
        await erase(ANN)
        vault.forget(ANN.user_id)
        assert await vault.open(ANN.user_id, hers) is None
        assert await vault.open(BEN.user_id, his) == SAID
        again = await sealed_by(vault, ANN, b"new")
        assert [await opened(vault, ANN, each) for each in (again, hers)] == [b"new", None]

    async def test_what_was_changed_never_opens(self, vault: PersonalVault) -> None:
        """One bit that is another, a byte more or less: it is refused as what it is, or opens to nothing."""
        sealed = await sealed_by(vault, ANN)
        flipped = [sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :] for at in range(len(sealed))]
        for changed in (*flipped, *(sealed[:size] for size in range(len(sealed))), sealed + b"\0"):
            assert await opened(vault, ANN, changed) is None


class SignerConformance(Conformance):
    """The promises of the port `Signer`. The fixture `signer` gives one; takes `dashtam-core[crypto]`."""

    def test_what_is_signed_verifies(self, signer: Signer) -> None:
        """Under its name and public key of 32 bytes, any message has a signature of 64 that is for it alone."""
        pytest.importorskip("cryptography", reason="signatures are verified with dashtam-core[crypto]")
        key, messages = VerifierKey.of(signer), (b"", b"log\n1\n", bytes(range(256)) * 100)
        assert len(signer.public_key) == 32
        for message in messages:
            signature = signer.sign(message)
            assert len(signature) == 64
            assert [key.verifies(signature, each) for each in messages] == [each is message for each in messages]


class KeyringConformance(Conformance):
    """The promises of the port `Keyring`. The fixture `keyring` gives one."""

    def test_a_key_is_for_one_purpose(self, keyring: Keyring) -> None:
        """32 bytes, always the same for a purpose, no part the same for another, and not in what is printed."""
        purposes = ["account-number", "account-numbe", "account-number ", "Account-number", "", "\u6771"]
        keys = [keyring.derive(each) for each in purposes]
        assert [keyring.derive(each) for each in purposes] == keys
        assert {len(each) for each in keys} == {32}
        parts = [key[at : at + 8] for key in keys for at in range(0, 32, 8)]
        assert len(set(parts)) == len(parts)
        assert not any(each in repr(keyring) for key in keys for each in (key.hex(), repr(key)[2:-1]))


class ClockConformance(Conformance):
    """The promises of the port `Clock`. The fixture `clock` gives one."""

    def test_an_instant_is_aware_and_in_utc(self, clock: Clock) -> None:
        """Whoever asks, in any thread, is told an instant in UTC."""
        with ThreadPoolExecutor(1) as threads:
            for told in (clock.now(), threads.submit(clock.now).result()):
                assert type(told) is datetime
                assert told.tzinfo is UTC
