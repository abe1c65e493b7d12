"""Lists of plain numbers such as ``12, -3.25, 0.5``, from JSON text to arrays, many at once.

Plain is a number of at most seven characters without an exponent. It is read as one 64-bit word,
its first character in the lowest byte, and each step below works on the words of all numbers.
Texts with anything else in them are left to a JSON parser: every function then returns None.

The texts have to be parts of valid JSON: then what has only the characters of numbers is numbers.
N = number of texts, L = landmarks (x, y, v) in each, M = numbers in all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

_Words: TypeAlias = "NDArray[np.uint64]"
_PAD = b"," + b" " * 17  # a word may be read at every character, and the commas as whole words

_WORDS_WITH_COMMA = 16
"""So many words in a row have a comma among them, but around a number (with its spaces) of 128 to
255 characters or more. It takes 309 digits to be too large for a float."""


def _repeated(byte: int) -> np.uint64:
    return np.uint64(byte * 0x0101010101010101)


_BIT, _LOW_NIBBLE, _DIGIT_BIT, _SEPARATOR_BIT = (_repeated(byte) for byte in (1, 15, 16, 2))
_MINUS_TO_ZERO = np.uint64(ord("-") ^ ord("0"))
_1, _3, _4, _8, _56, _61 = (np.uint64(shift) for shift in (1, 3, 4, 8, 56, 61))
_FIRST_DIGIT_BIT = np.uint64(16)
# Neighbours become one number of twice the digits: factor, shift, mask. Three rounds: 8 digits.
_JOINS = tuple(
    (np.uint64((10**digits << 8 * digits) + 1), np.uint64(8 * digits), np.uint64(mask))
    for digits, mask in ((1, 0x00FF00FF00FF00FF), (2, 0x0000FFFF0000FFFF), (4, 0xFFFFFFFF))
)
# The top three bits of ``(16 << 8 * k) * _PLACE`` are k.
_PLACE = np.uint64(sum(k << (57 - 8 * k) for k in range(8)))
_SCALES = np.array([10 ** (8 - k) for k in range(8)], dtype=np.float64)


def parse_plain(
    texts: Sequence[bytes], num_landmarks: int, *, with_v: bool = True
) -> NDArray[np.float64] | None:
    """Parses texts of x, y, v of ``num_landmarks`` each; exactly what a JSON parser makes of them.

    Returns:
        (3, N, L), or (2, N, L) without v; None where a text has another number of numbers or
        something that is not plain, in v too.
    """
    if (joined := _join(texts, 3 * num_landmarks)) is None:
        return None
    text, commas, gap = joined
    if gap > 1 and not _all_followed_by_space(text, commas):
        return None
    starts = np.ndarray((len(text) - len(_PAD),), "<u8", text, offset=gap, strides=(1,))
    words = np.ascontiguousarray(starts[commas[: len(starts)]].reshape(-1, 3).T)
    if not with_v:
        if not _ends(words[2]).min():
            return None
        words = words[:2]
    values = _values(words.ravel(), has_minus=b"-" in text)
    return None if values is None else values.reshape(len(words), len(texts), num_landmarks)


def cut_plain(texts: Sequence[bytes], count: int, start: int, stop: int) -> list[bytes] | None:
    """Texts of the numbers ``start`` to ``stop`` (not included) of texts of ``count`` each.

    Returns:
        N texts, or None where a text has another number of numbers, other characters than numbers
        have, or a number so long that it may be too large for a float.
    """
    if (joined := _join(texts, count)) is None:
        return None
    text, commas, _ = joined
    counts = (commas[: len(commas) // 8 * 8].view(np.uint64) * _BIT >> _56).view(np.int64)
    upto = np.cumsum(counts)
    some = upto[::_WORDS_WITH_COMMA]
    if (some[1:] == some[:-1]).any():
        return None
    # Comma number i * count + j stands before number j of text i.
    wanted = np.arange(len(texts))[:, None] * count + (start, stop)
    words = np.searchsorted(upto, wanted, side="right")
    beyond = upto[words] - wanted  # commas of the word from the wanted one on
    inside = counts[words] - beyond
    return [
        text[8 * first : 8 * last + 8].split(b",", before + 1)[-1].rsplit(b",", after)[0].strip()
        for first, last, before, after in zip(
            *words.T.tolist(), inside[:, 0].tolist(), beyond[:, 1].tolist(), strict=True
        )
    ]


def _join(texts: Sequence[bytes], count: int) -> tuple[bytes, NDArray[np.bool_], int] | None:
    """All texts as one with a comma before each number, where its commas are, and how far after
    them the numbers of the first text start; None where something is not plain."""
    separator = b", " if b", " in texts[0][:32] else b","
    text = b"".join((separator, separator.join(texts), _PAD))
    codes = np.frombuffer(text, dtype=np.uint8)
    # JSON has '"' only around strings, all other punctuation and letters come after the digits, but
    # for "+", which needs an "e".
    if codes.max() > ord("9") or codes.min() < ord(" ") or b'"' in text:
        return None
    commas = codes == ord(",")
    start = len(separator)
    for some in texts:
        stop = start + len(some)
        if np.count_nonzero(commas[start:stop]) != count - 1:
            return None
        start = stop + len(separator)
    return text, commas, len(separator)


def _all_followed_by_space(text: bytes, commas: NDArray[np.bool_]) -> bool:
    spaces = np.frombuffer(text, dtype=np.uint8)[1:] == ord(" ")
    spaces &= commas[:-1]
    return np.count_nonzero(spaces) == np.count_nonzero(commas)  # the last characters are no commas


def _values(words: _Words, *, has_minus: bool) -> NDArray[np.float64] | None:
    """(M,) values of the numbers that the words start with; changes the words."""
    if has_minus:
        negative = np.flatnonzero(words.astype(np.uint8) == ord("-"))  # the lowest byte
        words[negative] ^= _MINUS_TO_ZERO
    integer_end = words & _DIGIT_BIT  # of the characters ",-. 0123456789" only digits have this bit
    integer_end ^= _DIGIT_BIT
    integer_end &= np.negative(integer_end)  # the lowest bit
    end = _ends(words)
    if not end.min() or integer_end.min() == _FIRST_DIGIT_BIT:
        return None  # more than seven characters, or no digit in front
    end &= np.negative(end)
    if has_minus:
        is_integer = end[negative] << _3 == integer_end[negative]
    end -= _1  # all bits of the number
    words &= end
    np.multiply(integer_end, _PLACE, out=end)
    end >>= _61
    scales = _SCALES.take(end.view(np.int64), mode="clip")
    values = np.divide(_integers(words, integer_end), scales, out=scales)  # of exact numbers: exact
    if has_minus:
        found = values[negative]  # to JSON parsers -0 is 0.0, but -0.0 is -0.0
        values[negative] = np.where(is_integer & (found == 0), found, -found)
    return values


def _ends(words: _Words) -> _Words:
    """One bit set in each byte that is no part of a number; 0 where a word has no such byte."""
    ends = words >> _3
    ends |= words
    ends &= _SEPARATOR_BIT  # digits have one of the two bits, the point has the lower one
    ends ^= _SEPARATOR_BIT
    return ends


def _integers(words: _Words, integer_end: _Words) -> NDArray[np.int64]:
    """(M,) the digits of the words without the point as integers of eight digits; changes both."""
    integer_end >>= _4
    integer_end -= _1  # all bits of the integer part
    closed = words >> _8  # here the decimals stand where the point was
    words ^= closed
    words &= integer_end
    words ^= closed
    words &= _LOW_NIBBLE
    for factor, shift, mask in _JOINS:
        words *= factor
        words >>= shift
        words &= mask
    return words.view(np.int64)
