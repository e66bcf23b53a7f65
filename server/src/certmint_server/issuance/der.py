"""As much of DER (X.690) as the lints need: reading elements strictly, and writing them.

Everywhere else the library reads and writes certificates. The lints have their own few lines, so that what is signed is
not judged by the code that wrote it.
"""

INTEGER = 0x02
OCTET_STRING = 0x04
BOOLEAN_TRUE = bytes.fromhex("0101ff")
UTF8_STRING = 0x0C
UTC_TIME = 0x17
GENERALIZED_TIME = 0x18
SEQUENCE = 0x30
SET = 0x31

_LONG_FORM = 0x80
_MAXIMUM_LENGTH_OCTETS = 3


def split(der: bytes) -> list[bytes]:
    """The elements that follow one another in these bytes, each with its header.

    Raises:
        ValueError: they are not elements with lengths of the definite form, in as few octets as there can be.
    """
    elements, at, size = [], 0, len(der)
    while at < size:
        contents_at = at + 2
        if contents_at > size:
            raise ValueError("a header is cut off")
        length = der[at + 1]
        if length >= _LONG_FORM:
            length, contents_at = _long_length(der, at)
        end = contents_at + length
        if end > size:
            raise ValueError("contents are cut off")
        elements.append(der[at:end])
        at = end
    return elements


def contents(element: bytes, tag: int) -> bytes:
    """The contents of one element of this tag, which `split` gave.

    Raises:
        ValueError: it has another tag.
    """
    if element[0] != tag:
        raise ValueError("not the element that belongs here")
    return element[2:] if element[1] < _LONG_FORM else element[2 + (element[1] & ~_LONG_FORM) :]


def write(tag: int, *contents: bytes) -> bytes:
    """An element."""
    value = b"".join(contents)
    length = len(value)
    if length < _LONG_FORM:
        return bytes((tag, length)) + value
    octets = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes((tag, _LONG_FORM | len(octets))) + octets + value


def _long_length(der: bytes, at: int) -> tuple[int, int]:
    """A length of the long form, and where the contents begin."""
    count = der[at + 1] & ~_LONG_FORM
    octets = der[at + 2 : at + 2 + count]
    length = int.from_bytes(octets, "big")
    if not 0 < count <= _MAXIMUM_LENGTH_OCTETS or length < _LONG_FORM or octets[0] == 0:
        raise ValueError("a length is not in its shortest form")
    return length, at + 2 + count
