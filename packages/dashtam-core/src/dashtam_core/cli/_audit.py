"""`dashtam audit`: the trail of who did what, to be read, verified, proven, sealed and taken away."""

import base64
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Final, NoReturn
from uuid import UUID

import attrs
import typer

from dashtam_core import audit as trail
from dashtam_core.cli._exits import UNTRUSTED, stop, value_of
from dashtam_core.cli._files import STDIO, lines_of, text_of, writing
from dashtam_core.cli._host import Host, Json
from dashtam_core.cli._lists import DAY, Cursor, show_next
from dashtam_core.cli._settings import load_settings
from dashtam_core.cli._show import document, exactly, line, note, table
from dashtam_core.identity import OPERATOR
from dashtam_core.kernel import Result, UserId
from dashtam_core.messaging import Query

audit: Final = typer.Typer(
    help="Read, verify and take away the audit trail.", no_args_is_help=True, rich_markup_mode=None
)

_ENCODING: Final = "base64"
_TITLES: Final = (
    *("recorded at (UTC)", "phase", "action", "resource", "subject", "code", "channel", "ip address", "entry"),
)

User = Annotated[UUID | None, typer.Option(metavar="ID", help="Of this person only.")]
Action = Annotated[str | None, typer.Option(metavar="NAME", help="Of this action only, such as import_statement.")]
InPhase = Annotated[trail.Phase | None, typer.Option(help="In this phase only.")]
Resource = Annotated[str | None, typer.Option(metavar="ID", help="About this resource only.")]
Since = Annotated[datetime | None, typer.Option(formats=DAY, metavar="DAY", help="The first day, in UTC.")]
Until = Annotated[datetime | None, typer.Option(formats=DAY, metavar="DAY", help="The last day, in UTC.")]
Limit = Annotated[int, typer.Option(help="How many to show, 1 to 1000.")]
Export = Annotated[str | None, typer.Argument(metavar="EXPORT_FILE", help="An export; - for standard input.")]
Key = Annotated[
    str | None, typer.Option("--key", metavar="VKEY", help="The verifier key that the log's owner published.")
]
Kept = Annotated[str | None, typer.Option(metavar="FILE", help="A checkpoint that was kept elsewhere.")]


@audit.command("list")
def list_entries(
    ctx: typer.Context,
    *,
    user: User = None,
    action: Action = None,
    phase: InPhase = None,
    resource: Resource = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = 50,
    cursor: Cursor = None,
    as_json: Json = False,
) -> None:
    """List who did what and what came of it, the latest first."""
    wanted = trail.EntryFilter(
        user_id=None if user is None else UserId(user),
        action=action,
        phase=phase,
        resource_id=resource,
        since=since and since.replace(tzinfo=UTC),
        until=until and _next_day(until),
    )
    page = _answer(ctx, trail.ListAuditEntries(wanted, limit, cursor))
    if as_json:
        # All that is known of each; `personal` is null where nobody can read it any more.
        items = [attrs.asdict(each.entry, recurse=False) | {"personal": each.personal} for each in page.items]
        document({"items": items, "next_cursor": page.next_cursor})
        return
    table(_TITLES, [_row(each) for each in page.items])
    days = {"--since": since and since.date(), "--until": until and until.date()}
    options = {"--user": user, "--action": action, "--phase": phase, "--resource": resource, **days}
    show_next("audit list", page.next_cursor, {**options, "--limit": limit})


@audit.command("verify")
def verify(
    ctx: typer.Context, export: Export = None, key: Key = None, checkpoint: Kept = None, as_json: Json = False
) -> None:
    """Find out whether the trail was changed, in the store or in an export of it: exits with 5 if so."""
    published = None if checkpoint is None else text_of(checkpoint)
    if export is not None:
        found = value_of(_verified(export, key, published))
    elif key is not None:
        stop("--key is for an export: the store has a key of its own, see dashtam audit checkpoint --key", 2)
    else:
        found = _answer(ctx, trail.VerifyAuditLog(published))
    root = _encoded(found.root)
    if as_json:
        document(attrs.asdict(found) | {"root": root, "encoding": _ENCODING})
    else:
        counts = f"entries {found.entries}, retired {found.retired}, size {found.tree_size}"
        line(f"the audit log is as it was signed: {counts}, root {root}")


@audit.command("proof")
def prove(
    ctx: typer.Context,
    entry_id: Annotated[UUID, typer.Argument(metavar="ENTRY_ID", help="As the list shows it.")],
    as_json: Json = False,
) -> None:
    """Prove that an entry is in the log, to whoever has the log's key."""
    proof = _answer(ctx, trail.ProveAuditEntry(trail.EntryId(entry_id)))
    sealed = value_of(trail.open_checkpoint(proof.checkpoint, proof.key))
    if not _proves(proof, sealed):
        _tampered(f"entry {proof.leaf.index} ({entry_id}) is not what was sealed in its place")
    document(_proof_view(proof, sealed)) if as_json else _show_proof(proof, sealed)


@audit.command("checkpoint")
def seal(
    ctx: typer.Context,
    since: Kept = None,
    key: Annotated[bool, typer.Option("--key", help="Print the log's verifier key instead.")] = False,
    as_json: Json = False,
) -> None:
    """Seal what was recorded until now and print the signed checkpoint: keep it where nobody can change it."""
    earlier = None if since is None else text_of(since)
    sealing = trail.SealAuditLog(earlier)
    state = value_of(Host.of(ctx).run(load_settings(), lambda me: me.execute(sealing), OPERATOR))
    if earlier is not None:
        _check_growth(earlier, state)
    if as_json:
        hashes = [_encoded(each) for each in state.proof]
        view = {"checkpoint": state.checkpoint, "key": str(state.key), "consistency_proof": hashes}
        document(view | {"encoding": _ENCODING})
    elif key:
        line(str(state.key))
    else:
        exactly(state.checkpoint)


@audit.command("export")
def export_log(
    ctx: typer.Context,
    file: Annotated[str, typer.Argument(metavar="FILE", help="Where to; - is standard output.")] = STDIO,
    as_json: Json = False,
) -> None:
    """Write the whole log as JSON lines, to be verified without the store. A file is there once it is complete."""
    settings, host = load_settings(), Host.of(ctx)
    with writing(file) as write:
        count = value_of(host.run(settings, lambda me: me.ask(trail.ExportAuditLog(write)), OPERATOR))
    if as_json and file != STDIO:
        document({"file": file, "entries": count})
    else:
        note(f"{count} entries exported: dashtam audit verify checks them, with the key that you published")


def _answer[T](ctx: typer.Context, query: Query[T, trail.AuditRefused]) -> T:
    return value_of(Host.of(ctx).run(load_settings(), lambda me: me.ask(query), OPERATOR))


def _next_day(day: datetime) -> datetime | None:
    """The last day there is has no next one, and needs none."""
    return None if day.date() == date.max else day.replace(tzinfo=UTC) + timedelta(days=1)


def _row(each: trail.ReadableEntry) -> tuple[object, ...]:
    entry = each.entry
    resource = " ".join(filter(None, (entry.resource_type, entry.resource_id)))
    ip_address = each.personal and each.personal.get("ip_address")
    return (
        *(f"{entry.recorded_at:%Y-%m-%d %H:%M:%S}", entry.phase, entry.action, resource, entry.user_id),
        *(entry.code, entry.channel, ip_address, entry.entry_id),
    )


def _verified(export: str, key: str | None, published: str | None) -> Result[trail.Verified, trail.AuditRefused]:
    if key is None:
        note("without --key this shows only that the export agrees with itself: a forger can sign with any key")
    with lines_of(export) as lines:
        return trail.verify_export(lines, vkey=key, published=published)


def _proves(proof: trail.InclusionProof, sealed: trail.Checkpoint) -> bool:
    leaf = proof.leaf
    try:
        unchanged = leaf.entry is None or trail.leaf_hash(leaf.entry) == leaf.leaf_hash
    except ValueError:  # it holds what no entry can
        return False
    size, root = sealed.tree_size, sealed.root
    return unchanged and trail.verify_inclusion(leaf.leaf_hash, leaf.index, size, proof.proof, root)


def _proof_view(proof: trail.InclusionProof, sealed: trail.Checkpoint) -> dict[str, object]:
    leaf = proof.leaf
    return {
        "entry_id": str(leaf.entry_id),
        "entry": None if leaf.entry is None else trail.canonical(leaf.entry).decode(),
        "leaf_hash": _encoded(leaf.leaf_hash),
        "index": leaf.index,
        "tree_size": sealed.tree_size,
        "inclusion_proof": [_encoded(each) for each in proof.proof],
        "encoding": _ENCODING,
        "checkpoint": proof.checkpoint,
        "key": str(proof.key),
    }


def _show_proof(proof: trail.InclusionProof, sealed: trail.Checkpoint) -> None:
    leaf, entry = proof.leaf, proof.leaf.entry
    said = f"{entry.action} {entry.phase}" if entry else "retired since"
    line(f"entry {leaf.entry_id} is in the log, at index {leaf.index} of {sealed.tree_size}: {said}")
    line(f"leaf hash {_encoded(leaf.leaf_hash)}, root {_encoded(sealed.root)}, {len(proof.proof)} hashes between")
    line(f"signed by {proof.key}")
    note("--json prints all it takes to check this elsewhere")


def _check_growth(earlier: str, state: trail.LogState) -> None:
    """Ends the command unless the log of the earlier checkpoint became the one of now by growing."""
    old, new = (value_of(trail.open_checkpoint(text, state.key)) for text in (earlier, state.checkpoint))
    if not trail.verify_consistency(old.tree_size, new.tree_size, old.root, new.root, state.proof):
        _tampered(f"the {old.tree_size} entries of that checkpoint are not the first {old.tree_size} of now")
    note(f"since that checkpoint the log only grew: from {old.tree_size} to {new.tree_size} entries")


def _tampered(what: str) -> NoReturn:
    stop(f"[{trail.AuditCode.AUDIT_TAMPERED}] {what}: `dashtam audit verify` finds what was changed", UNTRUSTED)


def _encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()
