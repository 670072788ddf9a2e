"""A statement file read without a store."""

import json
import sys
from pathlib import Path

from dashtam_core.kernel import Failure, Success
from dashtam_files import OfxReader

match OfxReader().read(Path(sys.argv[1]).read_bytes()):
    case Success(statement):
        rows = [len(each.transactions) for each in statement.batch.accounts]
        json.dump({"format": statement.format, "rows": rows}, sys.stdout)
    case Failure(error):
        sys.exit(str(error))
