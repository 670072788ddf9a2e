"""The Merkle tree of RFC 6962, section 2.1 (RFC 9162 is the same): SHA-256, leaves 0x00, inner nodes 0x01."""

import hashlib
from collections.abc import Sequence
from typing import Final

HASH_SIZE: Final = 32
EMPTY_ROOT: Final = hashlib.sha256().digest()


def hash_leaf(data: bytes, /) -> bytes:
    return hashlib.sha256(b"\x00" + data).digest()


def hash_children(left: bytes, right: bytes, /) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


class Frontier:
    """A tree that only grows, of which just the roots of its whole subtrees are kept: O(log n) of n leaves.

    `peaks` are those roots, the greatest subtree first: one for each bit that is set in `size`. Keep both, and the
    tree can grow on from there. Raises `ValueError` where they do not fit each other.
    """

    def __init__(self, size: int = 0, peaks: Sequence[bytes] = ()) -> None:
        if size < 0 or len(peaks) != size.bit_count() or any(len(peak) != HASH_SIZE for peak in peaks):
            raise ValueError(f"{len(peaks)} peaks do not make a tree of {size} leaves")
        self._size = size
        self._peaks = list(peaks)

    @property
    def size(self) -> int:
        return self._size

    @property
    def peaks(self) -> tuple[bytes, ...]:
        return tuple(self._peaks)

    def append(self, leaf_hash: bytes, /) -> None:
        """Grow by one leaf. Raises `ValueError` for what is not 32 bytes."""
        if len(leaf_hash) != HASH_SIZE:
            raise ValueError(f"a leaf hash has {HASH_SIZE} bytes, not {len(leaf_hash)}")
        size, node = self._size, leaf_hash
        while size & 1:
            node = hash_children(self._peaks.pop(), node)
            size >>= 1
        self._peaks.append(node)
        self._size += 1

    def root(self) -> bytes:
        """The root of the tree as it is now."""
        if not self._peaks:
            return EMPTY_ROOT
        *left, node = self._peaks
        for peak in reversed(left):
            node = hash_children(peak, node)
        return node


def inclusion_proof(leaf_hashes: Sequence[bytes], index: int, /) -> tuple[bytes, ...]:
    """What shows that leaf `index`, from 0, is in the tree of these leaves: RFC 6962's PATH (section 2.1.1).

    Hashes each leaf once and holds O(log n). Raises `IndexError` for a leaf that is not there.
    """
    if not 0 <= index < len(leaf_hashes):
        raise IndexError(f"a tree of {len(leaf_hashes)} leaves has no leaf {index}")
    return _beside(leaf_hashes, index, index + 1)


def consistency_proof(leaf_hashes: Sequence[bytes], size1: int, /) -> tuple[bytes, ...]:
    """What shows that the tree of the first `size1` leaves became the tree of all: RFC 6962's PROOF (2.1.2).

    Empty where that is all of them. Hashes each leaf at most once and holds O(log n). Raises `ValueError` for a
    size that the tree never had, and for 0, of which nothing can be shown.
    """
    if not 0 < size1 <= len(leaf_hashes):
        raise ValueError(f"nothing shows that a tree of {len(leaf_hashes)} leaves once had {size1}")
    if size1 == len(leaf_hashes):
        return ()
    peak = size1 & (size1 - 1)  # where the last whole subtree of the first tree begins
    proof = _beside(leaf_hashes, peak, size1)
    return (_root(leaf_hashes, peak, size1), *proof) if peak else proof


def verify_inclusion(leaf_hash: bytes, index: int, tree_size: int, proof: Sequence[bytes], root: bytes, /) -> bool:
    """Whether the proof shows this leaf at `index` of the tree with this root (RFC 9162, section 2.1.3.2)."""
    if not 0 <= index < tree_size or not _are_hashes(leaf_hash, root, *proof):
        return False
    sides = _sides(index, tree_size - 1)
    computed = leaf_hash
    for is_left, sibling in zip(sides, proof, strict=False):
        computed = hash_children(sibling, computed) if is_left else hash_children(computed, sibling)
    return len(proof) == len(sides) and computed == root


def verify_consistency(size1: int, size2: int, root1: bytes, root2: bytes, proof: Sequence[bytes], /) -> bool:
    """Whether the proof shows that the first tree became the second by growing (RFC 9162, section 2.1.4.2).

    Never so from the empty tree: every tree grew from that, so it proves nothing.
    """
    if not 0 < size1 <= size2:
        return False
    if size1 == size2:
        return not proof and root1 == root2
    if not proof or not _are_hashes(root1, root2, *proof):
        return False
    peak, *siblings = proof if size1 & (size1 - 1) else (root1, *proof)
    node, last = size1 - 1, size2 - 1
    while node & 1:
        node, last = node >> 1, last >> 1
    sides = _sides(node, last)
    first = second = peak
    for is_left, sibling in zip(sides, siblings, strict=False):
        first = hash_children(sibling, first) if is_left else first
        second = hash_children(sibling, second) if is_left else hash_children(second, sibling)
    return len(siblings) == len(sides) and first == root1 and second == root2


def _beside(leaf_hashes: Sequence[bytes], first: int, end: int) -> tuple[bytes, ...]:
    """The roots beside the way from the subtree of the leaves `first` to `end` up to the root of all leaves."""
    low, high = 0, len(leaf_hashes)
    roots: list[bytes] = []
    while (low, high) != (first, end):
        middle = low + (1 << (high - low - 1).bit_length() - 1)  # the greatest power of two leaves to the left
        if first < middle:
            roots.append(_root(leaf_hashes, middle, high))
            high = middle
        else:
            roots.append(_root(leaf_hashes, low, middle))
            low = middle
    return tuple(reversed(roots))


def _sides(node: int, last: int) -> list[bool]:
    """Of each sibling on the way from a node to the root, whether it is the left one.

    `node` and `last`, the last one there is, are counted from 0 on their level. The last one may have no sibling.
    """
    sides: list[bool] = []
    while last:
        if node & 1 or node < last:
            sides.append(node & 1 == 1)
        node, last = node >> 1, last >> 1
    return sides


def _root(leaf_hashes: Sequence[bytes], low: int, high: int) -> bytes:
    frontier = Frontier()
    for index in range(low, high):
        frontier.append(leaf_hashes[index])
    return frontier.root()


def _are_hashes(*values: bytes) -> bool:
    return all(len(value) == HASH_SIZE for value in values)
