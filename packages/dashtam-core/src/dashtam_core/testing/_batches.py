"""The suites for those who bring data in: readers of statement files, and providers that are asked over an API."""

import asyncio
import re
import tracemalloc
from codecs import lookup
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from decimal import Decimal
from random import Random
from typing import Any, Final, get_args, get_type_hints

import attrs
import pytest

from dashtam_core import accounts as model
from dashtam_core.accounts import StatementReader
from dashtam_core.app import Dashtam
from dashtam_core.connections import Provider, ProviderCode, ProviderFailed, SyncAccounts, SyncReport, SyncRequest
from dashtam_core.kernel import Currency, Failure, Money, Success
from dashtam_core.plugins import hookimpl
from dashtam_core.settings import Settings
from dashtam_core.testing._conformance import Conformance
from dashtam_core.testing.samples import ANN

NAME: Final = "[a-z0-9]+(-[a-z0-9]+)*"
OTHERS: Final = {
    "nothing": b"",
    "text": b"Dear customer,\nyour statement is attached.\n",
    "csv": b"Date,Amount,Description\n2026-01-05,-12.50,Coffee\n",
    "ofx": b"OFXHEADER:100\r\nDATA:OFXSGML\r\nVERSION:102\r\n\r\n<OFX><SIGNONMSGSRSV1>",
    "camt": b'<?xml version="1.0"?><Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.08">',
    "mt940": b"{1:F01BANKDEFFXXXX0000000000}{4:\r\n:20:STARTUMSE\r\n:25:10020030/1234567\r\n",
    "html": b"<!DOCTYPE html><html><body>Session expired</body></html>",
    "json": b'{"accounts": []}',
    "pdf": b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n",
    "random": Random(1).randbytes(4_096),  # noqa: S311 - noise, no secret
}
"""Beginnings of files that readers meet, by the name of their family."""


@attrs.frozen
class Counts:
    """How many of each a sample holds, where its rows are too many to be written out."""

    accounts: int
    rows: int
    balances: int
    warnings: int = 0


type Samples = Mapping[bytes, Sequence[str] | Counts]


def told(batch: model.SyncBatch) -> Iterator[str]:
    """What a batch says, in lines as people write them."""
    for each in batch.accounts:
        yield f"{each.account.provider_account_id} {each.account.account_type} {each.account.currency}"
        for row in each.transactions:
            yield f"{row.posted_date} {row.amount.amount} {row.amount.currency} {row.description}"
        for balance in each.balances:
            yield f"{balance.as_of} {balance.amount.amount} {balance.amount.currency} {balance.kind}"
    for warning in batch.warnings:
        yield f"warning {warning.rule} {warning.where}"


def counted(batch: model.SyncBatch) -> Counts:
    rows = sum(len(each.transactions) for each in batch.accounts)
    balances = sum(len(each.balances) for each in batch.accounts)
    return Counts(len(batch.accounts), rows, balances, len(batch.warnings))


def check(batch: model.SyncBatch) -> None:
    """Amounts are exact and have a currency, days are days, instants are in UTC, and what is not known is None."""
    for account in batch.accounts:
        said: list[Any] = [account.account, *account.transactions, *account.balances, *account.holdings]
        for each in said:
            check_fields(each)
        for row in account.transactions:
            assert not row.running_balance or row.running_balance.currency == row.amount.currency, row


def check_fields(of: attrs.AttrsInstance) -> None:
    """Of a value, and of what it is made of: parts, counterparties, securities."""
    hints = get_type_hints(type(of))
    fields: dict[str, Any] = attrs.asdict(of, recurse=False)
    for name, value in fields.items():
        assert value != "" or name == "provider_account_id", f"{name} is not known, so it is None: {of}"
        assert not isinstance(value, float), f"{name} is a float, and rounds: {of}"
        if isinstance(value, datetime):
            assert datetime in get_args(hints[name]), f"{name} is a day, no instant: {of}"
            assert value.tzinfo is UTC, f"{name} is an instant, and in UTC: {of}"
        if Money in {hints[name], *get_args(hints[name])} and value is not None:
            assert isinstance(value, Money), f"{name} has no currency: {of}"
            assert (type(value.amount), type(value.currency)) == (Decimal, Currency), of
        if hasattr(value, "__attrs_attrs__") and not isinstance(value, Money | Currency):
            check_fields(value)
    for part in fields.get("details") or fields.get("ids") or ():
        check_fields(part)


def damaged(how: str, data: bytes, random: Random) -> bytes:
    """A file as accidents leave it."""
    at, width = random.randrange(len(data)), random.randrange(1, 60)
    piece = data[at : at + width]
    if how == "flipped":
        piece = bytes([piece[0] ^ 1 << random.randrange(8)]) + piece[1:]
    pieces = {"cut": b"", "dropped": b"", "doubled": piece * 2, "overwritten": random.randbytes(width)}
    rest = b"" if how == "cut" else data[at + width :]
    return data[:at] + pieces.get(how, piece) + rest


class StatementReaderConformance(Conformance):
    """The promises of the port `StatementReader`.

    The fixture `reader` gives one; `samples` maps statements, as bytes, to what they say, written by hand: in
    lines as `told` makes them, or as `Counts`. Override `others` if it reads one of `OTHERS` under another name.
    """

    @pytest.fixture
    def others(self, reader: StatementReader) -> Mapping[str, bytes]:
        """Beginnings of files of other families."""
        return {name: data for name, data in OTHERS.items() if name != reader.name}

    def test_a_sample_says_what_it_says(self, reader: StatementReader, samples: Samples) -> None:
        """Every account, row and balance is read as the statement has it, with how the file was understood."""
        assert re.fullmatch(NAME, reader.name)
        assert samples, "a reader is measured by statements: give it some"
        for data, expected in samples.items():
            read = reader.read(data).unwrap()
            found = counted(read.batch) if isinstance(expected, Counts) else [*told(read.batch)]
            assert found == (expected if isinstance(expected, Counts) else [*expected])
            assert read.format
            assert read.parser
            assert read.encoding == read.encoding.lower()
            assert lookup(read.encoding)
            check(read.batch)
            assert all(each.account.provider_account_id for each in read.batch.accounts)

    def test_account_numbers_are_not_printed(self, reader: StatementReader, samples: Samples) -> None:
        """What logs and tracebacks print of a statement holds no account's number."""
        for data in samples:
            read = reader.read(data).unwrap()
            for each in read.batch.accounts:
                for number in filter(None, (each.account.provider_account_id, each.account.number)):
                    assert number not in repr(read)

    def test_it_recognizes_its_own(self, reader: StatementReader, samples: Samples) -> None:
        """The beginning says whose a file is: what follows is neither copied nor looked at."""
        for data in samples:
            assert reader.recognizes(data) is True
            long = data + b"\0" * 4_000_000
            tracemalloc.start()
            try:
                assert reader.recognizes(long) is True
                assert tracemalloc.get_traced_memory()[1] < 1_000_000
            finally:
                tracemalloc.stop()

    def test_it_does_not_recognize_what_is_others(
        self, reader: StatementReader, others: Mapping[str, bytes]
    ) -> None:
        """A file of another family, of none, or that is no file at all is left to the others."""
        assert [name for name, data in others.items() if reader.recognizes(data) is not False] == []

    def test_the_same_bytes_are_read_the_same(self, reader: StatementReader, samples: Samples) -> None:
        """Reading remembers nothing: again, beside other files and in other threads the answer is equal."""
        alone = [reader.read(data) for data in samples]
        with ThreadPoolExecutor(4) as threads:
            together = list(threads.map(reader.read, [*samples] * 4))
        assert together == alone * 4

    @pytest.mark.parametrize("how", ["cut", "flipped", "overwritten", "dropped", "doubled"])
    def test_a_damaged_file_is_read_or_refused(self, reader: StatementReader, samples: Samples, how: str) -> None:
        """Nothing raises: the answer is a whole statement, or a code with a sentence without account numbers."""
        random = Random(how)  # noqa: S311 - the same damage each time, no secret
        for data in (*samples, *OTHERS.values()):
            for _ in range(60 if data else 0):
                bad = damaged(how, data, random)
                assert isinstance(reader.recognizes(bad), bool)
                match reader.read(bad):
                    case Success(read):
                        check(read.batch)
                    case Failure(refused):
                        check_refusal(refused, model.ImportFailed, model.ImportCode)


def check_refusal(refused: Any, kind: type, codes: type) -> None:
    assert (type(refused), type(refused.code)) == (kind, codes)
    assert re.fullmatch(r"\S+( \S+)+", refused.message), f"say in one line what, why and what to do: {refused}"


@attrs.frozen
class Bringing:
    """The plugin that brings a provider."""

    provider: Provider

    @hookimpl
    def dashtam_providers(self) -> Sequence[Provider]:
        return [self.provider]


class ProviderConformance(Conformance):
    """The promises of the port `Provider`, which is asked through its real code: only the network may be a double.

    The fixture `provider` gives one, `request_ok` what it answers with accounts and rows, `request_refused` a
    request whose credential is refused.
    """

    @pytest.fixture
    def request_refused(self) -> SyncRequest | None:
        """None where no credential can be refused."""
        return None

    async def test_it_brings_what_can_be_taken_in(self, provider: Provider, request_ok: SyncRequest) -> None:
        """Amounts are exact, in a currency; accounts and rows have ids; the credential is nowhere in it."""
        assert re.fullmatch(NAME, provider.name)
        batches = await run(provider, request_ok)
        assert any(each.transactions for batch in batches for each in batch.accounts), "give it rows to bring"
        for batch in batches:
            check(batch)
            assert all(each.account.provider_account_id for each in batch.accounts)
            assert request_ok.credential not in str(attrs.asdict(batch))
        assert request_ok.credential not in repr(request_ok)

    async def test_asking_again_brings_the_same(self, provider: Provider, request_ok: SyncRequest) -> None:
        """A request that is repeated, also at the same time, is answered as before."""
        first = await provider.fetch(request_ok)
        assert await asyncio.gather(*(provider.fetch(request_ok) for _ in range(4))) == [first] * 4

    async def test_a_cursor_leads_on(self, provider: Provider, request_ok: SyncRequest) -> None:
        """With `more` each batch has a cursor of its own until the end, whose cursor is good for the next time."""
        *before, last = [batch.next_cursor for batch in await run(provider, request_ok)]
        assert None not in before
        assert len({request_ok.cursor, *before}) == len(before) + 1
        if last is not None:
            assert isinstance(await provider.fetch(attrs.evolve(request_ok, cursor=last)), Success)

    async def test_stable_ids_are_unique(self, provider: Provider, request_ok: SyncRequest) -> None:
        """Who says that ids are stable gives each row of an account one of its own."""
        for batch in await run(provider, request_ok) if provider.stable_ids else ():
            for account in batch.accounts:
                ids = [row.provider_transaction_id for row in account.transactions]
                assert all(ids)
                assert len(set(ids)) == len(ids)

    async def test_a_refused_credential_is_a_failure(
        self, provider: Provider, request_refused: SyncRequest | None, caplog: pytest.LogCaptureFixture
    ) -> None:
        """It has the code for connecting again, and the credential is neither in it nor in the log."""
        if request_refused is None:
            pytest.skip("no fixture request_refused: nothing is known of a credential that is refused")
        refused = (await provider.fetch(request_refused)).failure()
        check_refusal(refused, ProviderFailed, ProviderCode)
        assert refused.code is ProviderCode.CREDENTIAL_REFUSED
        assert request_refused.credential not in f"{refused} {refused!r} {caplog.text}"

    async def test_what_was_taken_in_is_not_taken_in_again(
        self, provider: Provider, request_ok: SyncRequest
    ) -> None:
        """By an application: at first all rows are new but those that speak of others, the second time none."""
        accounts = [each for batch in await run(provider, request_ok) for each in batch.accounts]
        rows = [row for each in accounts for row in each.transactions]
        plain = all(row.status is model.TransactionStatus.POSTED and row.replaces is None for row in rows)
        async with Dashtam.open(settings=Settings(), plugins=[Bringing(provider)], workers=False) as dashtam:
            added = list[int]()
            for _ in range(2):
                more, cursor, count = True, request_ok.cursor, 0
                while more:
                    command = SyncAccounts(provider.name, request_ok.credential, cursor)
                    report: SyncReport = (await dashtam.acting_as(ANN).execute(command)).unwrap()
                    more, cursor, count = report.more, report.next_cursor, count + report.added
                added.append(count)
        assert added[1] == 0
        assert added[0] == len(rows) or (added[0] < len(rows) and not plain)


async def run(provider: Provider, request: SyncRequest) -> list[model.SyncBatch]:
    """Every batch from a request on, to the end."""
    batches = [(await provider.fetch(request)).unwrap()]
    while batches[-1].more:
        assert len(batches) < 1_000, "a run comes to an end"
        batches.append((await provider.fetch(attrs.evolve(request, cursor=batches[-1].next_cursor))).unwrap())
    return batches
