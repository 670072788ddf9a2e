"""The trail of who did what: written before and with each change, sealed into a tree that shows tampering."""

from dashtam_core.audit._checkpoint import (
    AuditCode,
    AuditRefused,
    Checkpoint,
    CryptographyMissingError,
    Ed25519Signer,
    SignedCheckpoint,
    Signer,
    VerifierKey,
    open_checkpoint,
)
from dashtam_core.audit._entries import (
    AttemptId,
    AuditEntry,
    EntryId,
    Json,
    Phase,
    RecordedEntry,
    canonical,
    leaf_hash,
)
from dashtam_core.audit._export import verify_export, write_export
from dashtam_core.audit._merkle import (
    Frontier,
    consistency_proof,
    inclusion_proof,
    verify_consistency,
    verify_inclusion,
)
from dashtam_core.audit._ports import (
    AuditedUnit,
    AuditLog,
    AuditTrail,
    EntryFilter,
    Leaf,
    PersonKey,
    PersonKeys,
    SealedBatch,
    Sealer,
    SealingLag,
)
from dashtam_core.audit._queries import (
    AUDIT_READ,
    ROUTES,
    ExportAuditLog,
    InclusionProof,
    ListAuditEntries,
    LogState,
    ProveAuditEntry,
    ReadableEntry,
    SealAuditLog,
    VerifyAuditLog,
)
from dashtam_core.audit._recorder import AuditRecorder, GroupCommit
from dashtam_core.audit._sealing import Sealing
from dashtam_core.audit._stages import Attempt, Outcome, Replay
from dashtam_core.audit._vault import KeyVault, PersonalVault, Seal
from dashtam_core.audit._verify import RETIRE_ACTION, Verified, Verifier, log_records

# fmt: off
__all__ = [
    "AUDIT_READ", "RETIRE_ACTION", "ROUTES", "Attempt", "AttemptId", "AuditCode", "AuditEntry", "AuditLog",
    "AuditRecorder", "AuditRefused", "AuditTrail", "AuditedUnit", "Checkpoint", "CryptographyMissingError",
    "Ed25519Signer", "EntryFilter", "EntryId", "ExportAuditLog", "Frontier", "GroupCommit", "InclusionProof",
    "Json", "KeyVault", "Leaf", "ListAuditEntries", "LogState", "Outcome", "PersonKey", "PersonKeys",
    "PersonalVault", "Phase", "ProveAuditEntry", "ReadableEntry", "RecordedEntry", "Replay", "Seal",
    "SealAuditLog", "SealedBatch", "Sealer", "Sealing", "SealingLag", "SignedCheckpoint", "Signer", "Verified",
    "Verifier", "VerifierKey", "VerifyAuditLog", "canonical", "consistency_proof", "inclusion_proof", "leaf_hash",
    "log_records", "open_checkpoint", "verify_consistency", "verify_export", "verify_inclusion", "write_export",
]
# fmt: on
