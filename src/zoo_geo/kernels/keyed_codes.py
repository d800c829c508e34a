"""BLAKE2b (RFC 7693) with a key over many short texts; the block of the key is worked in once, before."""

from __future__ import annotations

import numpy as np
from numba import njit

_START = np.array(
    [
        0x6A09E667F3BCC908, 0xBB67AE8584CAA73B, 0x3C6EF372FE94F82B, 0xA54FF53A5F1D36F1,
        0x510E527FADE682D1, 0x9B05688C2B3E6C1F, 0x1F83D9ABFB41BD6B, 0x5BE0CD19137E2179,
    ],
    dtype=np.uint64,
)  # fmt: skip
_ORDER = np.array(
    [
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
        [14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3],
        [11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4],
        [7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8],
        [9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13],
        [2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9],
        [12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11],
        [13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10],
        [6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5],
        [10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0],
    ],
    dtype=np.intp,
)  # fmt: skip
_BLOCK = 128


@njit(inline="always")
def _turned(word, by):
    return (word >> np.uint64(by)) | (word << np.uint64(64 - by))


@njit(inline="always")
def _mix(v, a, b, c, d, x, y):
    v[a] = v[a] + v[b] + x
    v[d] = _turned(v[d] ^ v[a], 32)
    v[c] = v[c] + v[d]
    v[b] = _turned(v[b] ^ v[c], 24)
    v[a] = v[a] + v[b] + y
    v[d] = _turned(v[d] ^ v[a], 16)
    v[c] = v[c] + v[d]
    v[b] = _turned(v[b] ^ v[c], 63)


@njit(cache=True, nogil=True)
def _work_in(state, words, v, total, last):
    """Work one block into the state."""
    for i in range(8):
        v[i] = state[i]
        v[i + 8] = _START[i]
    v[12] ^= np.uint64(total)
    if last:
        v[14] = ~v[14]
    for turn in range(12):
        s = _ORDER[turn % 10]
        _mix(v, 0, 4, 8, 12, words[s[0]], words[s[1]])
        _mix(v, 1, 5, 9, 13, words[s[2]], words[s[3]])
        _mix(v, 2, 6, 10, 14, words[s[4]], words[s[5]])
        _mix(v, 3, 7, 11, 15, words[s[6]], words[s[7]])
        _mix(v, 0, 5, 10, 15, words[s[8]], words[s[9]])
        _mix(v, 1, 6, 11, 12, words[s[10]], words[s[11]])
        _mix(v, 2, 7, 8, 13, words[s[12]], words[s[13]])
        _mix(v, 3, 4, 9, 14, words[s[14]], words[s[15]])
    for i in range(8):
        state[i] ^= v[i] ^ v[i + 8]


def keyed_start(key: bytes, size: int) -> np.ndarray:
    """Return the state after the block of the key, shape (8,), for codes of `size` bytes."""
    state = _START.copy()
    state[0] ^= np.uint64(0x01010000 | len(key) << 8 | size)
    words = np.frombuffer(key.ljust(_BLOCK, b"\0"), dtype="<u8").astype(np.uint64)
    _work_in(state, words, np.empty(16, np.uint64), _BLOCK, False)
    return state


@njit(cache=True, nogil=True)
def keyed_codes(start, offsets, data, out):
    """Fill out, shape (n, 2), with the first 16 bytes of the code of each text, as two words.

    Text i is data[offsets[i]:offsets[i + 1]] and is not empty.
    """
    words, v, state = np.empty(16, np.uint64), np.empty(16, np.uint64), np.empty(8, np.uint64)
    for i in range(out.shape[0]):
        at, end, done = offsets[i], offsets[i + 1], _BLOCK
        state[:] = start
        while True:
            here = min(end - at, _BLOCK)
            words[:] = 0
            for j in range(here):
                words[j >> 3] |= np.uint64(data[at + j]) << np.uint64((j & 7) << 3)
            at += here
            done += here
            _work_in(state, words, v, done, at == end)
            if at == end:
                break
        out[i, 0], out[i, 1] = state[0], state[1]
