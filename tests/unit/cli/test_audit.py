"""`dashtam audit`: the trail listed, proven, sealed, taken away and verified, and what was changed is named."""

import asyncio
import base64
import hashlib
import json
import shlex
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import attrs
import pytest

from dashtam_core import Dashtam, Settings
from dashtam_core.audit import VerifierKey, open_checkpoint, verify_inclusion
from dashtam_core.identity import CreateApiToken, ExternalSubject
from dashtam_core.kernel import Origin
from unit.cli.toy import CUT, JANUARY, CommandLine, noisy

BROWSER = Origin("http", "192.0.2.7", "a browser", "request-1")


@pytest.fixture
def dashtam(folder: Path) -> CommandLine:
    """The command line after one file was imported and one refused."""
    found = CommandLine(noisy())
    (folder / "january.lines").write_bytes(JANUARY)
    assert found("import", "january.lines").exit_code == 0
    assert found("import", "-", stdin=CUT).exit_code == 2
    return found


def entries(dashtam: CommandLine, *options: str) -> list[dict[str, Any]]:
    """What the list shows, without the listing itself."""
    items: list[dict[str, Any]] = dashtam.json("audit", "list", *options)["items"]
    return [item for item in items if item["action"] != "list_audit_entries"]


def key_of(dashtam: CommandLine) -> str:
    return dashtam("audit", "checkpoint", "--key").stdout.strip()


def exported(dashtam: CommandLine, file: str = "log.jsonl") -> Path:
    result = dashtam("audit", "export", file)
    assert (result.exit_code, result.stdout) == (0, "")
    return Path(file)


def from_elsewhere(dashtam: CommandLine) -> None:
    """Somebody makes a token over HTTP, in the same store and under the same key."""

    async def make() -> None:
        settings = Settings(master_key="a key of the tests, long enough for it")
        async with Dashtam.open(settings=settings, store=dashtam.store, plugins=(), workers=False) as opened:
            await opened.acting_as(ExternalSubject("ann"), BROWSER).execute(CreateApiToken("phone"))

    asyncio.run(make())


def test_entries_as_json(dashtam: CommandLine) -> None:
    """Each attempt and its outcome are there with all that is known of them, the latest first."""
    failed, _, succeeded, attempted = entries(dashtam)
    assert (failed["phase"], failed["code"], failed["resource_id"]) == ("failed", "file_truncated", None)
    assert (succeeded["phase"], succeeded["context"]["added"]) == ("succeeded", 2)
    assert succeeded["personal"] == {"filename": "january.lines"}
    assert (
        attempted.keys()
        == succeeded.keys()
        == {
            *("entry_id", "attempt_id", "occurred_at", "recorded_at", "user_id", "action", "phase", "code"),
            *("resource_type", "resource_id", "channel", "request_id", "context", "personal"),
        }
    )
    assert attempted["attempt_id"] == succeeded["attempt_id"] == attempted["entry_id"]
    assert {item["channel"] for item in (failed, succeeded, attempted)} == {"cli"}
    assert datetime.fromisoformat(attempted["recorded_at"]) <= datetime.fromisoformat(succeeded["recorded_at"])


def test_entries_as_a_table(dashtam: CommandLine) -> None:
    """A row says when, what, to which resource, by whom, from where, and which entry it is."""
    from_elsewhere(dashtam)
    (item,) = entries(dashtam, "--phase", "succeeded", "--action", "create_api_token")
    titles, shown = dashtam("audit", "list", "--user", item["user_id"], "--phase", "succeeded").stdout.splitlines()
    assert titles.split()[:3] == ["recorded", "at", "(UTC)"]
    assert shown.split() == [
        *item["recorded_at"][:19].split("T"),
        *("succeeded", "create_api_token", "api_token", item["resource_id"], item["user_id"]),
        *("http", "192.0.2.7", item["entry_id"]),
    ]


def test_filters(dashtam: CommandLine) -> None:
    """Each filter leaves out what it should, and both days of a range are in it."""
    from_elsewhere(dashtam)
    _, done, *_ = entries(dashtam)
    today = datetime.now(UTC).date()
    yesterday, tomorrow = str(today - timedelta(days=1)), str(today + timedelta(days=1))
    assert len(entries(dashtam)) == 6
    assert len(entries(dashtam, "--user", done["user_id"])) == 2
    assert len(entries(dashtam, "--action", "import_statement")) == 4
    assert len(entries(dashtam, "--phase", "failed")) == 1
    (about,) = entries(dashtam, "--resource", entries(dashtam, "--phase", "succeeded")[-1]["resource_id"])
    assert about["action"] == "import_statement"
    assert len(entries(dashtam, "--since", yesterday, "--until", tomorrow)) == 6
    assert len(entries(dashtam, "--since", tomorrow)) == len(entries(dashtam, "--until", yesterday)) == 0
    assert len(entries(dashtam, "--until", "9999-12-31")) == 6


def test_the_last_day_is_in_the_range(dashtam: CommandLine) -> None:
    """What was recorded at the end of a day belongs to that day, and midnight to the next."""
    trail = dashtam.store.trail.entries
    for index, clock in enumerate(("2026-01-31T23:59:59.999999", "2026-02-01T00:00:00")):
        trail[index] = attrs.evolve(trail[index], recorded_at=datetime.fromisoformat(clock + "+00:00"))
    assert [item["phase"] for item in entries(dashtam, "--until", "2026-01-31")] == ["attempted"]
    assert [item["phase"] for item in entries(dashtam, "--until", "2026-02-01")] == ["succeeded", "attempted"]
    assert [item["phase"] for item in entries(dashtam, "--since", "2026-02-01")][-1] == "succeeded"


def test_pages(dashtam: CommandLine) -> None:
    """A page ends with the command for the next one, which repeats the filters."""
    filters = ["--action", "import_statement", "--since", "2026-01-01", "--limit", "3"]
    *_, last = dashtam("audit", "list", *filters).stdout.splitlines()
    words = shlex.split(last.removeprefix("next page: "))
    assert words[:-2] == ["dashtam", "audit", "list", *filters]
    view = dashtam.json(*words[1:])
    assert ([item["phase"] for item in view["items"]], view["next_cursor"]) == (["attempted"], None)


def test_the_way_of_an_entry(dashtam: CommandLine) -> None:
    """An entry from the list is proven, exported and verified; changed in the export, it is named."""
    attempted = entries(dashtam)[-1]
    proof = dashtam.json("audit", "proof", attempted["entry_id"])
    assert json.loads(proof["entry"])["entry_id"] == attempted["entry_id"]
    file, key = exported(dashtam), key_of(dashtam)
    assert key == proof["key"]
    result = dashtam("audit", "verify", "log.jsonl", "--key", key)
    assert (result.exit_code, result.stderr) == (0, ""), "no store is opened"
    assert result.stdout.startswith("the audit log is as it was signed: entries ")
    file.write_text(file.read_text().replace('"channel":"cli"', '"channel":"http"', 1))
    result = dashtam("audit", "verify", "log.jsonl", "--key", key)
    assert (result.exit_code, result.stdout) == (5, "")
    assert result.stderr.startswith("dashtam: [audit_tampered] ")
    assert f"entry 0 ({attempted['entry_id']}) was changed" in result.stderr


def test_a_proof_is_all_it_takes(dashtam: CommandLine) -> None:
    """What --json prints is checked here with nothing but hashes and the key, as an auditor would."""
    proof = dashtam.json("audit", "proof", entries(dashtam)[1]["entry_id"])
    assert proof["encoding"] == "base64"
    leaf = hashlib.sha256(b"\0" + proof["entry"].encode()).digest()
    assert base64.b64decode(proof["leaf_hash"]) == leaf
    sealed = open_checkpoint(proof["checkpoint"], VerifierKey.parse(proof["key"]).unwrap()).unwrap()
    path = [base64.b64decode(each) for each in proof["inclusion_proof"]]
    assert proof["tree_size"] == sealed.tree_size
    assert verify_inclusion(leaf, proof["index"], sealed.tree_size, path, sealed.root)


def test_a_proof_for_people(dashtam: CommandLine) -> None:
    """The text names the entry, its place and the key."""
    attempted = entries(dashtam)[-1]
    shown = dashtam("audit", "proof", attempted["entry_id"]).stdout
    assert f"entry {attempted['entry_id']} is in the log, at index 0 of " in shown
    assert "import_statement attempted\n" in shown
    assert f"signed by {key_of(dashtam)}\n" in shown


@pytest.mark.parametrize(
    "change", [{"action": "other"}, {"context": {"amount": 0.5}}, {"entry_id": ExternalSubject("x").user_id}]
)
def test_an_entry_that_was_changed_is_not_proven(dashtam: CommandLine, change: dict[str, Any]) -> None:
    """The store's own hashes do not vouch for an entry that has become another, whatever it holds now."""
    exported(dashtam)
    trail = dashtam.store.trail.entries
    trail[1] = attrs.evolve(trail[1], **change)
    for args in (("proof", str(trail[1].entry_id)), ("verify",)):
        result = dashtam("audit", *args)
        assert (result.exit_code, result.stdout) == (5, "")
        assert "[audit_tampered]" in result.stderr
        assert "entry 1 (" in result.stderr


def test_a_proof_that_leads_elsewhere(dashtam: CommandLine) -> None:
    """Another leaf that was changed spoils the way to the root, and nothing is proven."""
    exported(dashtam)
    dashtam.store.trail.leaf_hashes[3] = bytes(32)
    assert dashtam("audit", "proof", entries(dashtam)[-1]["entry_id"]).exit_code == 5


def test_the_store_is_verified(dashtam: CommandLine) -> None:
    """Without a file it is the store, and everything in it counts."""
    view = dashtam.json("audit", "verify")
    sealed = open_checkpoint(dashtam("audit", "checkpoint").stdout, VerifierKey.parse(key_of(dashtam)).unwrap())
    assert (view["entries"], view["retired"], view["tree_size"], view["encoding"]) == (5, 0, 5, "base64")
    assert sealed.unwrap().tree_size == 7
    assert len(base64.b64decode(view["root"])) == 32


def test_an_export_alone_agrees_with_itself(dashtam: CommandLine) -> None:
    """Who forges all of it signs with another key: that passes with a warning, and not where the key is given."""
    exported(dashtam)
    forger = CommandLine(noisy())
    forger._open = lambda settings: Dashtam.open(  # type: ignore[method-assign]
        settings=attrs.evolve(settings, master_key="f" * 32), store=forger.store, plugins=(), workers=False
    )
    exported(forger, "forged.jsonl")
    result = dashtam("audit", "verify", "forged.jsonl")
    assert (result.exit_code, result.stderr.count("without --key")) == (0, 1)
    assert dashtam("audit", "verify", "forged.jsonl", "--key", key_of(dashtam)).exit_code == 5
    assert dashtam("audit", "verify", "log.jsonl", "--key", key_of(dashtam)).exit_code == 0


def test_an_end_that_was_cut_off(dashtam: CommandLine) -> None:
    """A checkpoint kept elsewhere shows that entries after it are missing, of the store and of an export."""
    file, key = exported(dashtam), key_of(dashtam)
    kept = Path("kept.txt")
    kept.write_bytes(dashtam("audit", "checkpoint").stdout_bytes)
    given = ("--key", key, "--checkpoint", "kept.txt")
    assert dashtam("audit", "verify", str(file), "--key", key).exit_code == 0
    result = dashtam("audit", "verify", str(file), *given)
    assert (result.exit_code, "entries are missing" in result.stderr) == (5, True)
    assert dashtam("audit", "verify", str(exported(dashtam)), *given).exit_code == 0
    assert dashtam("audit", "verify", "--checkpoint", "kept.txt").exit_code == 0
    assert CommandLine(noisy())("audit", "verify", "--checkpoint", "kept.txt").exit_code == 5


def test_an_export_from_standard_input(dashtam: CommandLine) -> None:
    """An export goes to standard output as it goes to a file, and is verified from standard input."""
    out = dashtam("audit", "export")
    assert out.exit_code == 0
    result = dashtam("audit", "verify", "-", "--key", key_of(dashtam), "--json", stdin=out.stdout_bytes)
    assert json.loads(result.stdout)["entries"] == 5
    assert json.loads(out.stdout.splitlines()[-1]).keys() == {"checkpoint"}


@pytest.mark.parametrize("data", [b"", b"\xff\xfe\n", b"{" * 100_000, b"{}\n" * 3])
def test_what_is_no_export(dashtam: CommandLine, data: bytes) -> None:
    """Bytes of any kind are refused by the line, as not to be trusted."""
    result = dashtam("audit", "verify", "-", stdin=data)
    assert (result.exit_code, result.stdout) == (5, "")
    assert "[export_invalid] line 1 of the export" in result.stderr


def test_a_checkpoint_is_printed_as_it_is(dashtam: CommandLine) -> None:
    """Standard output is the signed note to the last byte, and opens with the key."""
    text = dashtam("audit", "checkpoint").stdout_bytes.decode()
    key = VerifierKey.parse(key_of(dashtam)).unwrap()
    assert (text, key.name) == (dashtam.store.trail.checkpoints[0][1], text.splitlines()[0])
    assert open_checkpoint(text, key).unwrap().tree_size == 5
    view = dashtam.json("audit", "checkpoint")
    assert (view["key"], view["consistency_proof"]) == (str(key), [])
    assert open_checkpoint(view["checkpoint"], key).unwrap().tree_size == 9


def test_a_log_that_only_grew(dashtam: CommandLine) -> None:
    """An earlier checkpoint is compared, and the comparison is told beside the new one."""
    Path("kept.txt").write_bytes(dashtam("audit", "checkpoint").stdout_bytes)
    result = dashtam("audit", "checkpoint", "--since", "kept.txt")
    assert (result.exit_code, result.stdout) == (0, dashtam.store.trail.checkpoints[-1][1])
    assert "the log only grew: from 5 to 7 entries" in result.stderr
    assert dashtam.json("audit", "checkpoint", "--since", "kept.txt")["consistency_proof"]


def test_a_log_that_was_written_anew(dashtam: CommandLine) -> None:
    """A log of the same key that does not continue the earlier one is refused, shorter or longer."""
    Path("kept.txt").write_bytes(dashtam("audit", "checkpoint").stdout_bytes)
    other = CommandLine(noisy())
    for _ in range(2):
        result = other("audit", "checkpoint", "--since", "kept.txt")
        assert (result.exit_code, result.stdout) == (5, "")
        assert "[audit_tampered]" in result.stderr
        entries(other)
        entries(other)


def test_an_export_that_fails_leaves_no_file(dashtam: CommandLine, folder: Path) -> None:
    """What was there before stays as it was, and nothing half done lies beside it."""
    before = exported(dashtam).read_bytes()
    trail, broken = dashtam.store.trail.entries, {"context": {"amount": 0.5}}
    trail[3] = attrs.evolve(trail[3], **broken)  # type: ignore[arg-type] # no entry can hold this
    for name in ("log.jsonl", "new.jsonl"):
        with pytest.raises(ValueError, match="float"):
            dashtam("audit", "export", name)
    assert sorted(path.name for path in folder.iterdir()) == ["january.lines", "log.jsonl"]
    assert (folder / "log.jsonl").read_bytes() == before


def test_an_export_goes_where_a_link_leads(dashtam: CommandLine, folder: Path) -> None:
    """The file that a link names is replaced, not the link, and is told of as a document."""
    (folder / "linked").symlink_to("target")
    view = dashtam.json("audit", "export", "linked")
    assert (folder / "linked").is_symlink()
    assert view == {"file": "linked", "entries": 5}
    assert dashtam("audit", "verify", "target").exit_code == 0


@pytest.mark.parametrize(
    ("args", "line"),
    [
        (("verify", "missing"), "missing cannot be read (No such file or directory)"),
        (("verify", "."), ". cannot be read (Is a directory)"),
        (("verify", "--checkpoint", ""), "cannot be read (Is a directory)"),
        (("checkpoint", "--since", "missing"), "missing cannot be read"),
        (("export", "no/folder"), "no/folder cannot be written (No such file or directory)"),
        (("export", "."), ". is no ordinary file"),
        (("verify", "--key", "x"), "--key is for an export"),
        (("verify", "january.lines", "--key", "x"), "[export_invalid]"),
        (("list", "--limit", "0"), "[audit_query_invalid]"),
        (("list", "--cursor", "x"), "[audit_query_invalid]"),
        (("proof", "0198a000-0000-7000-8000-000000000000"), "[entry_unknown]"),
        (("checkpoint", "--since", "january.lines"), "[checkpoint_invalid]"),
    ],
)
def test_refused_questions(dashtam: CommandLine, args: Sequence[str], line: str) -> None:
    """One line says what is wrong; 5 stands for what cannot be trusted, 2 for what can be put right."""
    result = dashtam("audit", *args, "--json")
    assert result.stdout == ""
    assert line in result.stderr.splitlines()[-1]
    assert result.exit_code == (5 if line in {"[export_invalid]", "[checkpoint_invalid]"} else 2)


def test_a_key_that_is_none(dashtam: CommandLine) -> None:
    """A mistyped key is the caller's to put right, and an empty one is not as good as none."""
    exported(dashtam)
    for key in ("x", ""):
        result = dashtam("audit", "verify", "log.jsonl", "--key", key)
        assert (result.exit_code, "[verifier_key_invalid]" in result.stderr) == (2, True)


def test_looking_at_the_trail_is_the_operators(dashtam: CommandLine) -> None:
    """The commands act as the person of the settings with an operator's permissions, and that is on record."""
    dashtam("audit", "verify")
    seen = dashtam.json("audit", "list", "--action", "verify_audit_log")["items"]
    assert [item["phase"] for item in seen] == ["succeeded", "attempted"]
    assert {item["user_id"] for item in seen} == {str(ExternalSubject("local").user_id)}


def test_without_cryptography(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the extra is missing, one line says what to install."""
    for name in ("cryptography", "cryptography.exceptions"):
        monkeypatch.setitem(sys.modules, name, None)
    result = CommandLine(noisy())("audit", "verify")
    assert (result.exit_code, result.stdout) == (3, "")
    assert "pip install 'dashtam-core[crypto]'" in result.stderr
