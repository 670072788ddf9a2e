"""The core with its cryptography: the trail in memory is sealed, verified, and exported to the file given."""

import asyncio
import json
import sys
from collections.abc import Callable
from pathlib import Path

from dashtam_core import Dashtam, Settings
from dashtam_core.audit import ExportAuditLog, SealAuditLog, VerifyAuditLog
from dashtam_core.identity import OPERATOR, CreateApiToken, ExternalSubject


async def main(write: Callable[[str], object]) -> None:
    async with Dashtam.open(settings=Settings(), plugins=()) as dashtam:
        await dashtam.acting_as(ExternalSubject("me")).execute(CreateApiToken("mine"))
        operator = dashtam.acting_as(ExternalSubject("operator", OPERATOR))
        sealed = (await operator.execute(SealAuditLog())).unwrap()
        verified = (await operator.ask(VerifyAuditLog(sealed.checkpoint))).unwrap()
        exported = (await operator.ask(ExportAuditLog(write))).unwrap()
    json.dump({"verified": verified.tree_size, "exported": exported, "key": str(sealed.key)}, sys.stdout)


with Path(sys.argv[1]).open("w", encoding="utf-8") as file:
    asyncio.run(main(file.write))
