"""BLAKE2b (RFC 7693) with a key over many short texts; the block of the key is worked in once, before."""

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
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
        [14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3],
    ],
    dtype=np.uint64,
)  # fmt: skip
_BLOCK = 128


_R32, _R24, _R16, _R63 = np.uint64(32), np.uint64(24), np.uint64(16), np.uint64(63)
_L32, _L40, _L48, _L1 = np.uint64(32), np.uint64(40), np.uint64(48), np.uint64(1)
_BLANKS = (9, 10, 11, 12, 13, 32)
_POINT, _ZERO, _NINE = 46, 48, 57


@njit(cache=True, nogil=True)
def _mix(a, b, c, d, x, y):
    a = a + b + x
    d ^= a
    d = (d >> _R32) | (d << _L32)
    c = c + d
    b ^= c
    b = (b >> _R24) | (b << _L40)
    a = a + b + y
    d ^= a
    d = (d >> _R16) | (d << _L48)
    c = c + d
    b ^= c
    b = (b >> _R63) | (b << _L1)
    return a, b, c, d


@njit(cache=True, nogil=True)
def _work_in(h, m, total, last):
    """Work one block of 16 words into the state."""
    v0, v1, v2, v3, v4, v5, v6, v7 = h[0], h[1], h[2], h[3], h[4], h[5], h[6], h[7]
    v8, v9, v10, v11 = _START[0], _START[1], _START[2], _START[3]
    v12, v13, v14, v15 = _START[4] ^ np.uint64(total), _START[5], _START[6], _START[7]
    if last:
        v14 = ~v14
    for turn in range(12):
        s = _ORDER[turn]
        v0, v4, v8, v12 = _mix(v0, v4, v8, v12, m[s[0]], m[s[1]])
        v1, v5, v9, v13 = _mix(v1, v5, v9, v13, m[s[2]], m[s[3]])
        v2, v6, v10, v14 = _mix(v2, v6, v10, v14, m[s[4]], m[s[5]])
        v3, v7, v11, v15 = _mix(v3, v7, v11, v15, m[s[6]], m[s[7]])
        v0, v5, v10, v15 = _mix(v0, v5, v10, v15, m[s[8]], m[s[9]])
        v1, v6, v11, v12 = _mix(v1, v6, v11, v12, m[s[10]], m[s[11]])
        v2, v7, v8, v13 = _mix(v2, v7, v8, v13, m[s[12]], m[s[13]])
        v3, v4, v9, v14 = _mix(v3, v4, v9, v14, m[s[14]], m[s[15]])
    h[0] ^= v0 ^ v8
    h[1] ^= v1 ^ v9
    h[2] ^= v2 ^ v10
    h[3] ^= v3 ^ v11
    h[4] ^= v4 ^ v12
    h[5] ^= v5 ^ v13
    h[6] ^= v6 ^ v14
    h[7] ^= v7 ^ v15


@njit(cache=True, nogil=True)
def _hard_blank(data, at, end):
    """Say whether a blank that breaks no line (U+00A0, two bytes) stands there."""
    return at >= 0 and at + 1 < end and data[at] == 0xC2 and data[at + 1] == 0xA0


@njit(cache=True, nogil=True)
def _plain(data, at, end):
    """Return where a text begins and ends without blanks around it, zeros before a number, .0 behind it."""
    while at < end and (data[at] in _BLANKS or _hard_blank(data, at, end)):
        at += 1 if data[at] in _BLANKS else 2
    while end > at and (data[end - 1] in _BLANKS or _hard_blank(data, end - 2, end)):
        end -= 1 if data[end - 1] in _BLANKS else 2
    last = end
    while last > at and data[last - 1] == _ZERO:
        last -= 1
    last = last - 1 if at + 1 < last < end and data[last - 1] == _POINT else end
    for j in range(at, last):
        if data[j] < _ZERO or data[j] > _NINE:
            return at, end
    end = last
    while at < end and data[at] == _ZERO:
        at += 1
    return at, end


def keyed_start(key: bytes, size: int) -> np.ndarray:
    """Return the state after the block of the key, shape (8,), for codes of `size` bytes."""
    state = _START.copy()
    state[0] ^= np.uint64(0x01010000 | len(key) << 8 | size)
    words = np.frombuffer(key.ljust(_BLOCK, b"\0"), dtype="<u8").astype(np.uint64)
    _work_in(state, words, _BLOCK, False)
    return state


@njit(cache=True, nogil=True)
def keyed_codes(start, offsets, data, out, nobody):
    """Fill out, shape (n, 2), with the first 16 bytes of the code of each text, as two words.

    Text i is data[offsets[i]:offsets[i + 1]], without blanks around it, zeros before a number and .0 behind
    it; where nothing is left of it, nobody[i] becomes true.
    """
    words, state = np.zeros(16, np.uint64), np.empty(8, np.uint64)
    for i in range(out.shape[0]):
        at, end = _plain(data, offsets[i], offsets[i + 1])
        nobody[i] |= at == end
        done = _BLOCK
        state[:] = start
        while at < end:
            here = min(end - at, _BLOCK)
            words[:] = 0
            for j in range(here):
                words[j >> 3] |= np.uint64(data[at + j]) << np.uint64((j & 7) << 3)
            at += here
            done += here
            _work_in(state, words, done, at == end)
        out[i, 0], out[i, 1] = state[0], state[1]
