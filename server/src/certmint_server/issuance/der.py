"""As much of DER (X.690) as the lints need: reading elements strictly, and writing them.

Everywhere else the library reads and writes certificates. The lints have their own few lines, so that what is signed is
not judged by the code that wrote it.
"""

from typing import NamedTuple

INTEGER = 0x02
BIT_STRING = 0x03
OCTET_STRING = 0x04
OBJECT_IDENTIFIER = 0x06
UTF8_STRING = 0x0C
UTC_TIME = 0x17
GENERALIZED_TIME = 0x18
SEQUENCE = 0x30
SET = 0x31

_LONG_FORM = 0x80
_MAXIMUM_LENGTH_OCTETS = 3


class Element(NamedTuple):
    """One element: its tag, all of its bytes, and where its contents begin in them."""

    tag: int
    der: bytes
    contents_at: int

    @property
    def contents(self) -> bytes:
        """Its contents."""
        return self.der[self.contents_at :]


def read(der: bytes) -> Element:
    """The one element that these bytes are.

    Raises:
        ValueError: they are none, or more than one, or not DER.
    """
    elements = read_all(der)
    if len(elements) != 1:
        raise ValueError("not one element")
    return elements[0]


def read_all(der: bytes) -> list[Element]:
    """The elements that follow one another in these bytes.

    Raises:
        ValueError: they are not elements with lengths of the definite form, in as few octets as there can be.
    """
    elements, at = [], 0
    while at < len(der):
        contents_at, end = _span(der, at)
        elements.append(Element(der[at], der[at:end], contents_at - at))
        at = end
    return elements


def write(tag: int, *contents: bytes) -> bytes:
    """An element."""
    value = b"".join(contents)
    length = len(value)
    if length < _LONG_FORM:
        return bytes((tag, length)) + value
    octets = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes((tag, _LONG_FORM | len(octets))) + octets + value


def _span(der: bytes, at: int) -> tuple[int, int]:
    """Where the contents of the element at `at` begin, and where they end."""
    if at + 2 > len(der):
        raise ValueError("a header is cut off")
    length, contents_at = der[at + 1], at + 2
    if length >= _LONG_FORM:
        count = length & ~_LONG_FORM
        octets = der[contents_at : contents_at + count]
        length = int.from_bytes(octets, "big")
        if not 0 < count <= _MAXIMUM_LENGTH_OCTETS or length < _LONG_FORM or octets[0] == 0:
            raise ValueError("a length is not in its shortest form")
        contents_at += count
    if contents_at + length > len(der):
        raise ValueError("contents are cut off")
    return contents_at, contents_at + length
