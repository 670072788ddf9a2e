"""Signed checkpoints: the formats of C2SP, and nothing is believed that the log's key did not sign."""

import sys
from base64 import b64decode, b64encode

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashtam_core.audit._checkpoint import (
    MAX_NOTE,
    AuditCode,
    Checkpoint,
    CryptographyMissingError,
    Ed25519Signer,
    VerifierKey,
    open_checkpoint,
    sign,
)
from dashtam_core.kernel import Failure, Success
from unit.audit.logs import KEY, NAME, SIGNER, STRANGER

ROOT = bytes(range(100, 132))
CHECKPOINT = Checkpoint(NAME, 20_852_163, ROOT)
SIGNED = sign(CHECKPOINT, SIGNER)
BODY = f"{NAME}\n20852163\n{b64encode(ROOT).decode()}\n"


def note(text: str, *signers: tuple[str, Ed25519Signer]) -> str:
    """Any text, signed as a note by keys under names of their choice."""
    named = [(name, VerifierKey(name, signer.public_key), signer) for name, signer in signers]
    lines = [
        f"\u2014 {name} {b64encode(key.key_id + by.sign(text.encode())).decode()}\n" for name, key, by in named
    ]
    return f"{text}\n{''.join(lines)}"


def refusal(text: str) -> AuditCode | None:
    match open_checkpoint(text, KEY):
        case Failure(error):
            return error.code
        case Success():
            return None


def test_keys_and_signatures_are_those_of_another_implementation() -> None:
    """The example of Go's package note: the same seed gives the same key, key id and signature."""
    signer = Ed25519Signer.from_seed("PeterNeumann", b64decode("gQoUAtUUbI2E8kQzMPVAgOv5juF9nHT2JS/F1ccoMXM="))
    text = b"If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
    signed = b64decode(
        "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM="
    )
    key = VerifierKey.of(signer)
    assert str(key) == "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
    assert key.key_id + signer.sign(text) == signed
    assert key.verifies(signed[4:], text)
    assert not key.verifies(signed[4:], text[:-1])


def test_a_checkpoint_is_three_lines_and_a_signature() -> None:
    """The text is that of tlog-checkpoint and signed-note, so that other programs can read it."""
    assert CHECKPOINT.note_text() == BODY
    assert note(BODY, (NAME, SIGNER)) == SIGNED
    assert open_checkpoint(SIGNED, KEY) == Success(CHECKPOINT)


@given(st.integers(0, len(SIGNED) - 1), st.characters(exclude_categories=()))
def test_any_other_character_is_refused(place: int, character: str) -> None:
    """Nothing in a signed checkpoint can be changed, not even in how it is written."""
    changed = SIGNED[:place] + character + SIGNED[place + 1 :]
    assert (changed == SIGNED) or refusal(changed) is AuditCode.CHECKPOINT_INVALID


@given(st.text() | st.text("\u2014 +\nAz09/=", max_size=200).map(lambda text: BODY + text))
def test_no_text_is_too_odd_to_be_refused(text: str) -> None:
    """Whatever the text, the answer is a value, for a checkpoint and for a key."""
    assert refusal(text) is AuditCode.CHECKPOINT_INVALID
    assert isinstance(VerifierKey.parse(text), Failure)


def test_witnesses_may_sign_too() -> None:
    """Signatures of keys one does not know change nothing, even under the name or the id of the known one."""
    other = attrs.evolve(STRANGER, name="witness.example")
    assert refusal(note(BODY, ("witness.example", other), (NAME, SIGNER), (NAME, STRANGER))) is None
    same_id = f"\u2014 witness.example {b64encode(KEY.key_id + b'?').decode()}\n"
    assert refusal(SIGNED + same_id) is None


def test_another_key_is_not_believed() -> None:
    """A checkpoint that only others signed is refused, and so is one that the known key signed wrongly as well."""
    assert refusal(note(BODY, (NAME, STRANGER))) is AuditCode.CHECKPOINT_INVALID
    wrong = f"\u2014 {NAME} {b64encode(KEY.key_id + bytes(64)).decode()}\n"
    assert refusal(SIGNED + wrong) is AuditCode.CHECKPOINT_INVALID
    assert refusal(BODY + "\n" + wrong) is AuditCode.CHECKPOINT_INVALID


@pytest.mark.parametrize(
    "body",
    [
        "hello\n",
        BODY.replace("20852163", "020852163"),
        BODY.replace("20852163", "-1"),
        BODY.replace("20852163", "٣"),
        BODY.replace("20852163", "9" * 30),
        BODY.replace(NAME, "example.com/other"),
        BODY.replace(NAME, ""),
        f"{NAME}\n7\n{b64encode(bytes(31)).decode()}\n",
        f"{NAME}\n7\n{b64encode(bytes(33)).decode()}\n",
        f"{NAME}\n7\n{b64encode(ROOT).decode()[:-2]}1=\n",
        f"{NAME}\n7\n",
        BODY + "\nafter an empty line\n",
        BODY + "a\tcontrol character\n",
    ],
)
def test_a_note_that_is_no_checkpoint_is_refused(body: str) -> None:
    """The key's own signature does not make a checkpoint of this log out of another text."""
    assert refusal(note(body, (NAME, SIGNER))) is AuditCode.CHECKPOINT_INVALID


@pytest.mark.parametrize("text", [SIGNED[:-1], SIGNED + "\n", SIGNED + "more\n", f"{SIGNED}\u2014 a name AAAA\n"])
def test_a_note_is_whole_and_nothing_more(text: str) -> None:
    """A good signature does not make up for lines that are none."""
    assert refusal(text) is AuditCode.CHECKPOINT_INVALID


def test_extension_lines_are_passed_over() -> None:
    """The format lets a log say more; what is not understood is signed all the same."""
    assert open_checkpoint(note(BODY + "more\n", (NAME, SIGNER)), KEY) == Success(CHECKPOINT)


def test_a_note_without_end_is_refused() -> None:
    """The length is limited before anything is computed."""
    assert refusal(note(BODY + "x" * MAX_NOTE + "\n", (NAME, SIGNER))) is AuditCode.CHECKPOINT_INVALID


def test_the_empty_log_has_a_checkpoint() -> None:
    """Size 0 is written as 0."""
    empty = Checkpoint(NAME, 0, ROOT)
    assert open_checkpoint(sign(empty, SIGNER), KEY) == Success(empty)


@pytest.mark.parametrize(
    "text",
    [
        "",
        str(KEY)[:-4],
        str(KEY).replace("+", " "),
        f"other{KEY}",
        str(KEY).replace(KEY.key_id.hex(), "00000000"),
        f"{NAME}+{KEY.key_id.hex()}+{b64encode(bytes([2]) + KEY.public_key).decode()}",
        f"{NAME}+{KEY.key_id.hex().upper()}+{str(KEY).rpartition('+')[2]}",
        f"a name+{KEY.key_id.hex()}+{str(KEY).rpartition('+')[2]}",
        "\ud800+00000000+AQ==",
    ],
)
def test_what_is_not_a_verifier_key_is_refused(text: str) -> None:
    """A key that was cut, changed or is of another algorithm is not used."""
    match VerifierKey.parse(text):
        case Failure(error):
            assert error.code is AuditCode.VERIFIER_KEY_INVALID
        case Success():
            pytest.fail("this is not a key")


def test_a_verifier_key_is_read_as_it_is_written() -> None:
    """Its text, also with a newline around it, gives the same key again."""
    assert VerifierKey.parse(f"{KEY}\n") == Success(KEY)


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\nb", "a\u00a0b", "\ud800", "a\x00"])
def test_names_that_notes_cannot_hold_are_a_bug(name: str) -> None:
    """A name with a space or newline would let one checkpoint be read as another."""
    with pytest.raises(ValueError, match="named"):
        Ed25519Signer.from_seed(name, bytes(32))
    with pytest.raises(ValueError, match="named"):
        VerifierKey(name, bytes(32))
    with pytest.raises(ValueError, match="named"):
        Checkpoint(name, 0, ROOT)


def test_values_that_cannot_be_are_a_bug() -> None:
    """Sizes below zero, roots and keys of another length, and signing for another log raise."""
    with pytest.raises(ValueError, match="size"):
        Checkpoint(NAME, -1, ROOT)
    with pytest.raises(ValueError, match="root"):
        Checkpoint(NAME, 1, ROOT[1:])
    with pytest.raises(ValueError, match="32"):
        VerifierKey(NAME, bytes(31))
    with pytest.raises(ValueError, match="does not sign"):
        sign(Checkpoint("example.com/other", 1, ROOT), SIGNER)


def test_without_cryptography_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Signing and verifying name the extra."""
    monkeypatch.setitem(sys.modules, "cryptography", None)
    with pytest.raises(CryptographyMissingError, match=r"pip install 'dashtam-core\[crypto\]'"):
        Ed25519Signer.from_seed(NAME, bytes(32))
    with pytest.raises(CryptographyMissingError, match=r"pip install 'dashtam-core\[crypto\]'"):
        open_checkpoint(SIGNED, KEY)


def test_a_signer_does_not_print_its_key() -> None:
    """The private key does not reach a log by way of `repr`."""
    assert "key=" not in repr(SIGNER).replace("public_key=", "")
