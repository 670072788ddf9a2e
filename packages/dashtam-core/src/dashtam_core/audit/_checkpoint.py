"""Signed checkpoints: what the log was at a size, in the C2SP formats tlog-checkpoint and signed-note."""

import base64
import binascii
import hashlib
import importlib.util
import re
from typing import TYPE_CHECKING, Final, NewType, Protocol

import attrs

from dashtam_core.audit._merkle import HASH_SIZE
from dashtam_core.kernel import DomainError, ErrorCode, ErrorKind, Failure, Result, Success

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

SignedCheckpoint = NewType("SignedCheckpoint", str)
"""A checkpoint as a signed note, which any verifier of the C2SP formats reads."""

MAX_NOTE: Final = 200_000
"""The most characters of a signed checkpoint: room for the 16 signatures that every verifier has to take."""

_ED25519: Final = b"\x01"
_KEY_ID_SIZE: Final = 4
_KEY_SIZE: Final = 32
_NO_NOTE: Final = re.compile(r"[\x00-\x09\x0b-\x1f\ud800-\udfff]")
_NAME: Final = r"[^\s+\x00-\x1f\x7f-\x9f\ud800-\udfff]+"
_CHECKPOINT: Final = re.compile(rf"({_NAME})\n(0|[1-9][0-9]{{0,18}})\n([^=]{{43}}=)\n(?:.+\n)*")
_SIGNATURE: Final = re.compile(rf"\u2014 ({_NAME}) (\S+)")
_VERIFIER_KEY: Final = re.compile(rf"({_NAME})\+([0-9a-f]{{8}})\+(\S+)")


class AuditCode(ErrorCode):
    AUDIT_TAMPERED = "audit_tampered", ErrorKind.CONFLICT
    CHECKPOINT_INVALID = "checkpoint_invalid", ErrorKind.INVALID
    ENTRY_UNKNOWN = "entry_unknown", ErrorKind.NOT_FOUND
    EXPORT_INVALID = "export_invalid", ErrorKind.INVALID
    QUERY_INVALID = "audit_query_invalid", ErrorKind.INVALID
    SEALING_BUSY = "sealing_busy", ErrorKind.UNAVAILABLE
    VERIFIER_KEY_INVALID = "verifier_key_invalid", ErrorKind.INVALID


@attrs.frozen
class AuditRefused(DomainError[AuditCode]):
    """Why the audit log, or a piece of it, is not to be trusted as it stands."""


def refused(code: AuditCode, message: str, /) -> Failure[AuditRefused]:
    return Failure(AuditRefused(code, message))


class CryptographyMissingError(ImportError):
    """Signing and verifying need a package that is an extra."""


@attrs.frozen
class Checkpoint:
    """What a log was: the root of its Merkle tree when it had `tree_size` entries. `origin` names the log."""

    origin: str
    tree_size: int
    root: bytes

    def __attrs_post_init__(self) -> None:
        _require_name(self.origin)
        if self.tree_size < 0 or len(self.root) != HASH_SIZE:
            raise ValueError(f"a checkpoint has a size of 0 or more and a root of {HASH_SIZE} bytes")

    def note_text(self) -> str:
        """The lines that are signed: origin, size and root, each ended by a newline."""
        return f"{self.origin}\n{self.tree_size}\n{_base64(self.root)}\n"


class Signer(Protocol):
    """A key that signs checkpoints with Ed25519 (RFC 8032), wherever it is kept."""

    @property
    def name(self) -> str:
        """The name of the log it signs for, such as `example.com/audit`: no spaces, no plus."""
        ...

    @property
    def public_key(self) -> bytes:
        """32 bytes."""
        ...

    def sign(self, message: bytes, /) -> bytes:
        """The signature, 64 bytes."""
        ...


@attrs.frozen
class Ed25519Signer:
    """A signer whose key is in the memory of this process."""

    name: str
    public_key: bytes
    _key: "Ed25519PrivateKey" = attrs.field(repr=False)

    @classmethod
    def from_seed(cls, name: str, seed: bytes, /) -> "Ed25519Signer":
        """The signer whose private key is these 32 bytes. Raises `CryptographyMissingError` without the extra."""
        _require_cryptography()
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        _require_name(name)
        key = Ed25519PrivateKey.from_private_bytes(seed)
        return cls(name, key.public_key().public_bytes_raw(), key)

    def sign(self, message: bytes, /) -> bytes:
        return self._key.sign(message)


@attrs.frozen
class VerifierKey:
    """The public half of a log's key with the log's name: whoever has it can verify, nobody can sign with it.

    As text it is the verifier key of signed-note: name, key id and key with a plus between them.
    """

    name: str
    public_key: bytes

    def __attrs_post_init__(self) -> None:
        _require_name(self.name)
        if len(self.public_key) != _KEY_SIZE:
            raise ValueError(f"an Ed25519 key has {_KEY_SIZE} bytes")

    @classmethod
    def of(cls, signer: Signer, /) -> "VerifierKey":
        return cls(signer.name, signer.public_key)

    @classmethod
    def parse(cls, text: str, /) -> "Result[VerifierKey, AuditRefused]":
        """The key from its text, such as `example.com/audit+0123abcd+AQ...`."""
        match = _VERIFIER_KEY.fullmatch(text.strip())
        encoded = match and _decoded(match[3])
        if match and encoded and encoded[:1] == _ED25519 and len(encoded) == 1 + _KEY_SIZE:
            key = cls(match[1], encoded[1:])
            if key.key_id.hex() == match[2]:
                return Success(key)
        return refused(
            AuditCode.VERIFIER_KEY_INVALID,
            f"{text[:200]!r} is not an Ed25519 verifier key: copy it whole, as name+id+key",
        )

    @property
    def key_id(self) -> bytes:
        """Four bytes that tell which key of this name signed."""
        return hashlib.sha256(self.name.encode() + b"\n" + _ED25519 + self.public_key).digest()[:_KEY_ID_SIZE]

    def verifies(self, signature: bytes, message: bytes, /) -> bool:
        """Whether the key's owner signed the message. Raises `CryptographyMissingError` without the extra."""
        _require_cryptography()
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        try:
            Ed25519PublicKey.from_public_bytes(self.public_key).verify(signature, message)
        except InvalidSignature:
            return False
        return True

    def __str__(self) -> str:
        return f"{self.name}+{self.key_id.hex()}+{_base64(_ED25519 + self.public_key)}"


def sign(checkpoint: Checkpoint, signer: Signer, /) -> SignedCheckpoint:
    """The checkpoint with its log's signature. Raises `ValueError` for the signer of another log."""
    if checkpoint.origin != signer.name:
        raise ValueError(f"the key of {signer.name} does not sign for the log {checkpoint.origin}")
    text = checkpoint.note_text()
    signature = VerifierKey.of(signer).key_id + signer.sign(text.encode())
    return SignedCheckpoint(f"{text}\n\u2014 {signer.name} {_base64(signature)}\n")


def open_checkpoint(text: str, key: VerifierKey, /) -> Result[Checkpoint, AuditRefused]:
    """What the owner of the key signed, if it is that: a checkpoint of the log that the key is named after.

    Signatures by other keys, such as those of witnesses, are passed over, and so are signed extension lines.
    """
    if len(text) > MAX_NOTE or _NO_NOTE.search(text):
        return _refused(f"it is longer than {MAX_NOTE} characters, or holds some that no note does: get it anew")
    body, separator, lines = text.rpartition("\n\n")
    signatures = [_signature(line) for line in lines.removesuffix("\n").split("\n")]
    if not separator or text[-1] != "\n" or None in signatures:
        return _refused("it is not a signed note: copy it whole, with its empty line and its last newline")
    own = [signed[2] for signed in signatures if signed and signed[:2] == (key.name, key.key_id)]
    if not own:
        return _refused(f"it is not signed by {key}: ask for the key of the log it came from")
    if not all(key.verifies(signature, f"{body}\n".encode()) for signature in own):
        return _refused(f"it is not what {key} signed: get it anew")
    return _checkpoint(f"{body}\n", key.name)


def _signature(line: str) -> tuple[str, bytes, bytes] | None:
    """Name, id and signature of the key that signed."""
    match = _SIGNATURE.fullmatch(line)
    signed = match and _decoded(match[2])
    if not match or not signed or len(signed) <= _KEY_ID_SIZE:
        return None
    return match[1], signed[:_KEY_ID_SIZE], signed[_KEY_ID_SIZE:]


def _checkpoint(text: str, origin: str) -> Result[Checkpoint, AuditRefused]:
    match = _CHECKPOINT.fullmatch(text)
    root = match and _decoded(match[3])
    if not match or not root:
        return _refused("it is a note of another kind: a checkpoint is an origin, a size and a root")
    if match[1] != origin:
        return _refused(f"it is of the log {match[1]}, not of {origin}: get that log's own")
    return Success(Checkpoint(origin, int(match[2]), root))


def _refused(why: str) -> Failure[AuditRefused]:
    told = f"this checkpoint cannot be trusted, take another copy of it: {why}"
    return refused(AuditCode.CHECKPOINT_INVALID, told)


def _require_name(name: str) -> None:
    if not re.fullmatch(_NAME, name):
        raise ValueError(f"a log is named without spaces and pluses, such as example.com/audit, not {name!r}")


def _require_cryptography() -> None:
    if importlib.util.find_spec("cryptography") is None:
        raise CryptographyMissingError(
            "signed checkpoints need the package cryptography: pip install 'dashtam-core[crypto]'"
        )


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _decoded(text: str) -> bytes | None:
    """The bytes, or None unless the text is just what `_base64` makes of them (RFC 4648, section 3.5)."""
    try:
        data = base64.b64decode(text)
    except (binascii.Error, ValueError):
        return None
    return data if _base64(data) == text else None
