"""The Merkle tree: proofs as RFC 6962 defines them, and nothing else passes for one."""

import json
from base64 import b64decode
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashtam_core.audit._merkle import (
    Frontier,
    consistency_proof,
    hash_children,
    hash_leaf,
    inclusion_proof,
    verify_consistency,
    verify_inclusion,
)

DATA = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
LEAVES = [hash_leaf(bytes.fromhex(data)) for data in DATA]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
"""The roots of the first 0 to 8 leaves, as the tests of Certificate Transparency have them."""

sizes = st.integers(1, 70)


def leaves(size: int) -> list[bytes]:
    return [hash_leaf(str(number).encode()) for number in range(size)]


def tree(leaf_hashes: Sequence[bytes]) -> bytes:
    """RFC 6962, section 2.1, word for word."""
    if not leaf_hashes:
        return sha256().digest()
    if len(leaf_hashes) == 1:
        return leaf_hashes[0]
    k = below(len(leaf_hashes))
    return hash_children(tree(leaf_hashes[:k]), tree(leaf_hashes[k:]))


def path(m: int, d: Sequence[bytes]) -> list[bytes]:
    """RFC 6962, section 2.1.1, word for word."""
    if len(d) == 1:
        return []
    k = below(len(d))
    return [*path(m, d[:k]), tree(d[k:])] if m < k else [*path(m - k, d[k:]), tree(d[:k])]


def subproof(m: int, d: Sequence[bytes], *, whole: bool = True) -> list[bytes]:
    """RFC 6962, section 2.1.2, word for word."""
    if m == len(d):
        return [] if whole else [tree(d)]
    k = below(len(d))
    if m <= k:
        return [*subproof(m, d[:k], whole=whole), tree(d[k:])]
    return [*subproof(m - k, d[k:], whole=False), tree(d[:k])]


def below(n: int) -> int:
    return max(1 << power for power in range(n.bit_length()) if 1 << power < n)


def grown(leaf_hashes: Sequence[bytes]) -> Frontier:
    frontier = Frontier()
    for leaf_hash in leaf_hashes:
        frontier.append(leaf_hash)
    return frontier


def flipped(value: bytes, bit: int) -> bytes:
    changed = bytearray(value)
    changed[bit // 8 % len(value)] ^= 1 << bit % 8
    return bytes(changed)


@pytest.mark.parametrize("size", range(9))
def test_roots_are_those_of_certificate_transparency(size: int) -> None:
    """The tree of known leaves has the known root at every size."""
    assert grown(LEAVES[:size]).root().hex() == ROOTS[size]


def test_proofs_are_those_of_the_rfc() -> None:
    """The examples of RFC 6962, section 2.1.3: seven leaves, grown from three, from four and from six."""
    a, b, c, d, e, f, j = LEAVES[:7]
    g, h, i = hash_children(a, b), hash_children(c, d), hash_children(e, f)
    k, m = hash_children(g, h), hash_children(i, j)
    assert inclusion_proof(LEAVES[:7], 0) == (b, h, m)
    assert inclusion_proof(LEAVES[:7], 3) == (c, g, m)
    assert inclusion_proof(LEAVES[:7], 4) == (f, j, k)
    assert inclusion_proof(LEAVES[:7], 6) == (i, k)
    assert consistency_proof(LEAVES[:7], 3) == (c, d, g, m)
    assert consistency_proof(LEAVES[:7], 4) == (m,)
    assert consistency_proof(LEAVES[:7], 6) == (i, j, k)


@given(sizes, st.integers(0), st.integers(0))
def test_every_inclusion_proof_holds_and_no_changed_one(size: int, index: int, bit: int) -> None:
    """Every leaf of every tree has the RFC's proof; one bit, one place or one size off, and it proves nothing."""
    hashes, index = leaves(size), index % size
    proof, root = inclusion_proof(hashes, index), tree(hashes)
    assert list(proof) == path(index, hashes)
    assert verify_inclusion(hashes[index], index, size, proof, root)
    assert not verify_inclusion(flipped(hashes[index], bit), index, size, proof, root)
    assert not verify_inclusion(hashes[index], index, size, proof, flipped(root, bit))
    assert not any(
        verify_inclusion(hashes[index], index, size, [*proof[:n], flipped(proof[n], bit), *proof[n + 1 :]], root)
        for n in range(len(proof))
    )
    assert not any(
        verify_inclusion(hashes[index], n, size, proof, root) for n in range(-1, size + 1) if n != index
    )
    assert not verify_inclusion(hashes[index], index, size, [*proof, root], root)
    assert not verify_inclusion(hashes[index], index, size, [root, *proof], root)
    assert not (proof and verify_inclusion(hashes[index], index, size, proof[:-1], root))


@given(sizes, st.integers(0), st.integers(0))
def test_every_consistency_proof_holds_and_no_changed_one(size: int, size1: int, bit: int) -> None:
    """Every tree is shown to have grown from every smaller one by the RFC's proof, and by no changed proof."""
    hashes, size1 = leaves(size), size1 % size + 1
    proof, root1, root2 = consistency_proof(hashes, size1), tree(hashes[:size1]), tree(hashes)
    assert list(proof) == subproof(size1, hashes)
    assert verify_consistency(size1, size, root1, root2, proof)
    assert not verify_consistency(size1, size, flipped(root1, bit), root2, proof)
    assert not verify_consistency(size1, size, root1, flipped(root2, bit), proof)
    assert not any(
        verify_consistency(size1, size, root1, root2, [*proof[:n], flipped(proof[n], bit), *proof[n + 1 :]])
        for n in range(len(proof))
    )
    assert not verify_consistency(size1, size, root1, root2, [*proof, root2])
    assert not verify_consistency(size1, size, root1, root2, [root1, *proof])
    assert not (proof and verify_consistency(size1, size, root1, root2, proof[:-1]))
    assert not verify_consistency(size, size1 - 1, root2, root1, proof)


@given(sizes, st.integers(0))
def test_a_tree_grows_on_from_its_peaks(size: int, kept: int) -> None:
    """Size and peaks are all there is to keep: the tree grown on from them has the same root, at every size."""
    hashes = leaves(size)
    before = grown(hashes[: kept % size])
    after = Frontier(before.size, before.peaks)
    for number, leaf_hash in enumerate(hashes[before.size :], before.size + 1):
        after.append(leaf_hash)
        assert after.root() == tree(hashes[:number])
    assert after.size == size
    assert after.peaks == grown(hashes).peaks
    assert before.size == kept % size


@pytest.mark.parametrize(("size", "peaks"), [(1, 0), (2, 2), (3, 1), (0, 1), (-1, 1)])
def test_peaks_that_do_not_fit_the_size_are_refused(size: int, peaks: int) -> None:
    """A tree is not rebuilt from what cannot be one."""
    with pytest.raises(ValueError, match="peaks"):
        Frontier(size, LEAVES[:peaks])


def test_only_whole_hashes_enter_a_tree() -> None:
    """Two hashes of other lengths, side by side, could pass for two others."""
    with pytest.raises(ValueError, match="32 bytes"):
        Frontier().append(bytes(31))
    with pytest.raises(ValueError, match="peaks"):
        Frontier(1, [bytes(33)])


@pytest.mark.parametrize("index", [-1, 8])
def test_a_leaf_that_is_not_there_has_no_proof(index: int) -> None:
    """Asking for it is a bug in the caller."""
    with pytest.raises(IndexError):
        inclusion_proof(LEAVES, index)


@pytest.mark.parametrize("size1", [-1, 0, 9])
def test_a_size_that_never_was_has_no_proof(size1: int) -> None:
    """Asking for it is a bug in the caller; of the empty tree there is nothing to show."""
    with pytest.raises(ValueError, match="nothing shows"):
        consistency_proof(LEAVES, size1)


def test_shifted_hashes_prove_nothing() -> None:
    """Bytes moved over the border between two hashes give the same digest, and are refused for their length."""
    a, b = LEAVES[:2]
    assert not verify_inclusion(a + b[:1], 0, 2, [b[1:]], hash_children(a, b))
    assert not verify_consistency(1, 2, a + b[:1], hash_children(a, b), [b[1:]])


def test_a_tree_did_not_grow_from_a_greater_one() -> None:
    """Sizes in the wrong order prove nothing, even with equal roots."""
    assert not verify_consistency(8, 4, LEAVES[0], LEAVES[0], [])


def decoded(value: Any) -> Any:
    if isinstance(value, list):
        return [b64decode(item) for item in value]  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    return b64decode(value or "")


def vectors(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(file.read_text()) for file in sorted(folder.rglob("*.json"))]


def test_the_vectors_of_others(corpus: Path) -> None:
    """Proofs made by another implementation, 184 of 196 of them broken, are told apart without an exception."""
    inclusion, consistency = vectors(corpus / "merkle/inclusion"), vectors(corpus / "merkle/consistency")
    assert (len(inclusion), len(consistency)) == (98, 98)
    assert sum(vector["wantErr"] for vector in inclusion + consistency) == 184
    for v in inclusion:
        proof = decoded(v["proof"] or [])
        said = verify_inclusion(decoded(v["leafHash"]), v["leafIdx"], v["treeSize"], proof, decoded(v["root"]))
        assert said is not v["wantErr"], v["desc"]
    for v in consistency:
        proof = decoded(v["proof"] or [])
        said = verify_consistency(v["size1"], v["size2"], decoded(v["root1"]), decoded(v["root2"]), proof)
        assert said is not v["wantErr"], v["desc"]
