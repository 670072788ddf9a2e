"""Reading CAMT.053, beside the least that lxml could: `iterparse` over Ntry with typed fields.

Run: `.venv/bin/python benchmarks/bench_parse_camt.py`. The file is made in memory: 10,000 entries as German banks
write them, with code, both parties, references and two lines of text (47 elements each), or as short as they come
(18). The limit reads amount, currency, sign, both days, the bank's id, the end-to-end id and the lines of
text: no other namespace, no parties, no warnings, no limits. Prints milliseconds of CPU, medians of interleaved
repeats, and the ratio to the limit of the same repeat.
"""

import gc
import io
import statistics
import time
from collections.abc import Callable
from datetime import date
from decimal import Decimal

from lxml import etree

from dashtam_core.kernel import Success
from dashtam_files.camt import CamtReader

ROWS = 10_000
REPEATS = 9
GOAL = 1.5
SPACE = "urn:iso:std:iso:20022:tech:xsd:camt.053.001.08"

LONG = """
 <Ntry>
  <NtryRef>{0}</NtryRef><Amt Ccy="EUR">{1}.50</Amt><CdtDbtInd>{2}</CdtDbtInd><Sts><Cd>BOOK</Cd></Sts>
  <BookgDt><Dt>2026-01-{3:02}</Dt></BookgDt><ValDt><Dt>2026-01-{3:02}</Dt></ValDt>
  <AcctSvcrRef>2026{0:012}</AcctSvcrRef>
  <BkTxCd>
   <Domn><Cd>PMNT</Cd><Fmly><Cd>ICDT</Cd><SubFmlyCd>ESCT</SubFmlyCd></Fmly></Domn>
   <Prtry><Cd>NTRF+166+931</Cd><Issr>DK</Issr></Prtry>
  </BkTxCd>
  <NtryDtls><TxDtls>
   <Refs><EndToEndId>E2E-{0}</EndToEndId><MndtId>M-{1}</MndtId></Refs>
   <Amt Ccy="EUR">{1}.50</Amt>
   <RltdPties>
    <Dbtr><Pty><Nm>Ann Example {1}</Nm></Pty></Dbtr>
    <DbtrAcct><Id><IBAN>DE021203000000002020{3:02}</IBAN></Id></DbtrAcct>
    <Cdtr><Pty><Nm>Harbour Utilities {1}</Nm></Pty></Cdtr>
    <CdtrAcct><Id><IBAN>DE025001051701370750{3:02}</IBAN></Id></CdtrAcct>
   </RltdPties>
   <RltdAgts><CdtrAgt><FinInstnId><BICFI>BANKDEFF</BICFI></FinInstnId></CdtrAgt></RltdAgts>
   <RmtInf><Ustrd>Invoice {0} of January</Ustrd><Ustrd>customer 44{0}</Ustrd></RmtInf>
  </TxDtls></NtryDtls>
  <AddtlNtryInf>SEPA credit transfer</AddtlNtryInf>
 </Ntry>"""
SHORT = (
    '<Ntry><Amt Ccy="EUR">{1}.50</Amt><CdtDbtInd>{2}</CdtDbtInd><Sts>BOOK</Sts>'
    "<BookgDt><Dt>2026-01-{3:02}</Dt></BookgDt><ValDt><Dt>2026-01-{3:02}</Dt></ValDt>"
    "<AcctSvcrRef>2026{0:012}</AcctSvcrRef><NtryDtls><TxDtls><Refs><EndToEndId>E2E-{0}</EndToEndId></Refs>"
    "<RltdPties><Cdtr><Nm>Bob {1}</Nm></Cdtr></RltdPties><RmtInf><Ustrd>Invoice {0}</Ustrd></RmtInf>"
    "</TxDtls></NtryDtls></Ntry>\n"
)


def made(entry: str) -> bytes:
    entries = (entry.format(at, at % 900, "DBIT" if at % 3 else "CRDT", at % 28 + 1) for at in range(ROWS))
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<Document xmlns="{SPACE}"><BkToCstmrStmt><Stmt><Id>1</Id>'
        f"<Acct><Id><IBAN>DE02120300000000202051</IBAN></Id><Ccy>EUR</Ccy></Acct>{''.join(entries)}"
        "</Stmt></BkToCstmrStmt></Document>"
    ).encode()


def limit(data: bytes) -> int:
    at = {"": SPACE}
    rows: list[object] = []
    for _, entry in etree.iterparse(io.BytesIO(data), tag=f"{{{SPACE}}}Ntry"):
        amount, debit = entry.find("Amt", at), entry.findtext("CdtDbtInd", "", at) == "DBIT"
        assert amount is not None
        number = Decimal(amount.text or "")
        booked, valued = (
            date.fromisoformat(entry.findtext(f"{name}/Dt", "", at)) for name in ("BookgDt", "ValDt")
        )
        end_to_end = entry.findtext("NtryDtls/TxDtls/Refs/EndToEndId", None, at)
        lines = [line.text for line in entry.iterfind("NtryDtls/TxDtls/RmtInf/Ustrd", at)]
        bank = entry.findtext("AcctSvcrRef", None, at)
        rows.append((-number if debit else number, amount.get("Ccy"), booked, valued, bank, end_to_end, lines))
        entry.clear()
    return len(rows)


def ours(data: bytes) -> int:
    match CamtReader().read(data):
        case Success(read):
            assert not read.batch.warnings
            return len(read.batch.accounts[0].transactions)
        case failure:
            raise AssertionError(failure)


def spent(read: Callable[[bytes], int], data: bytes) -> float:
    """Milliseconds of CPU."""
    gc.collect()
    start = time.process_time()
    assert read(data) == ROWS
    return (time.process_time() - start) * 1e3


def main() -> None:
    print(f"{ROWS:,} entries, {REPEATS} repeats{'MB':>8}{'limit ms':>10}{'ours ms':>9}{'ratio':>8}")
    for name, entry in (("long", LONG), ("short", SHORT)):
        data = made(entry)
        pairs = [(spent(limit, data), spent(ours, data)) for _ in range(REPEATS + 1)][1:]
        base, own = (statistics.median(column) for column in zip(*pairs, strict=True))
        ratio = statistics.median(mine / least for least, mine in pairs)
        print(f"{name:25}{len(data) / 1e6:9.1f}{base:10.0f}{own:9.0f}{ratio:7.2f}x")
    print(f"the goal is {GOAL} times the limit at most")


if __name__ == "__main__":
    main()
