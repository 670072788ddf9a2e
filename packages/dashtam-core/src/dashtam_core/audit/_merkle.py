"""The Merkle tree of RFC 6962, section 2.1 (RFC 9162 is the same): SHA-256, leaves 0x00, inner nodes 0x01."""

import hashlib
from collections.abc import Sequence
from typing import Final

HASH_SIZE: Final = 32
EMPTY_ROOT: Final = hashlib.sha256().digest()


def hash_leaf(data: bytes, /) -> bytes:
    """The leaf hash of an entry."""
    return hashlib.sha256(b"\x00" + data).digest()


def hash_children(left: bytes, right: bytes, /) -> bytes:
    """The hash of an inner node."""
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
        """How many leaves the tree has."""
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
    low, high = 0, len(leaf_hashes)
    if not 0 <= index < high:
        raise IndexError(f"a tree of {high} leaves has no leaf {index}")
    proof: list[bytes] = []
    while high - low > 1:
        middle = low + _split(high - low)
        if index < middle:
            proof.append(_root(leaf_hashes, middle, high))
            high = middle
        else:
            proof.append(_root(leaf_hashes, low, middle))
            low = middle
    return tuple(reversed(proof))


def consistency_proof(leaf_hashes: Sequence[bytes], size1: int, /) -> tuple[bytes, ...]:
    """What shows that the tree of the first `size1` leaves became the tree of all: RFC 6962's PROOF (2.1.2).

    Empty where that is all of them. Hashes each leaf at most once and holds O(log n). Raises `ValueError` for a
    size that the tree never had, and for 0, of which nothing can be shown.
    """
    low, high = 0, len(leaf_hashes)
    if not 0 < size1 <= high:
        raise ValueError(f"nothing shows that a tree of {high} leaves once had {size1}")
    proof: list[bytes] = []
    while size1 < high:
        middle = low + _split(high - low)
        if size1 <= middle:
            proof.append(_root(leaf_hashes, middle, high))
            high = middle
        else:
            proof.append(_root(leaf_hashes, low, middle))
            low = middle
    if low:
        proof.append(_root(leaf_hashes, low, high))
    return tuple(reversed(proof))


def verify_inclusion(leaf_hash: bytes, index: int, tree_size: int, proof: Sequence[bytes], root: bytes, /) -> bool:
    """Whether the proof shows this leaf at `index` of the tree with this root (RFC 9162, section 2.1.3.2)."""
    if not 0 <= index < tree_size or not _are_hashes(leaf_hash, root, *proof):
        return False
    node, last = index, tree_size - 1
    computed = leaf_hash
    for sibling in proof:
        if not last:
            return False
        if node & 1 or node == last:
            computed = hash_children(sibling, computed)
            node, last = _without_zeros(node, last)
        else:
            computed = hash_children(computed, sibling)
        node, last = node >> 1, last >> 1
    return not last and computed == root


def verify_consistency(size1: int, size2: int, root1: bytes, root2: bytes, proof: Sequence[bytes], /) -> bool:
    """Whether the proof shows that the first tree became the second by growing (RFC 9162, section 2.1.4.2).

    Never so from the empty tree: every tree grew from that, so it proves nothing.
    """
    if not 0 < size1 <= size2:
        return False
    if size1 == size2:
        return not proof and root1 == root2
    if not _are_hashes(root1, root2, *proof):
        return False
    path = iter(proof if size1 & (size1 - 1) else (root1, *proof))
    node, last = _without_ones(size1 - 1, size2 - 1)
    first = second = next(path, b"")
    for sibling in path:
        if not last:
            return False
        if node & 1 or node == last:
            first, second = hash_children(sibling, first), hash_children(sibling, second)
            node, last = _without_zeros(node, last)
        else:
            second = hash_children(second, sibling)
        node, last = node >> 1, last >> 1
    return not last and first == root1 and second == root2


def _split(size: int) -> int:
    """The greatest power of two below `size`."""
    return 1 << (size - 1).bit_length() - 1


def _root(leaf_hashes: Sequence[bytes], low: int, high: int) -> bytes:
    frontier = Frontier()
    for index in range(low, high):
        frontier.append(leaf_hashes[index])
    return frontier.root()


def _are_hashes(*values: bytes) -> bool:
    return all(len(value) == HASH_SIZE for value in values)


def _without_zeros(node: int, last: int) -> tuple[int, int]:
    """Go up while the node is a left one: its way to the root passes levels where it has no sibling."""
    while node and not node & 1:
        node, last = node >> 1, last >> 1
    return node, last


def _without_ones(node: int, last: int) -> tuple[int, int]:
    while node & 1:
        node, last = node >> 1, last >> 1
    return node, last
