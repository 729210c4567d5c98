"""The bodies of answers that come compressed, although none was asked for."""

import zlib

# gzip or zlib, by the first bytes.
_GZIP_OR_ZLIB = 32 + zlib.MAX_WBITS
_RAW_DEFLATE = -zlib.MAX_WBITS


def decompressed(body: bytes, encoding: str, max_bytes: int) -> tuple[bytes, bool]:
    """Return a body out of its Content-Encoding, and whether that is all of it.

    encoding: gzip, deflate and identity are understood; of any other the body is b"".
    max_bytes: of the result. A bomb is not unpacked any further.
    """
    name = encoding.strip().lower()
    if name in ("", "identity") or not body:
        return body, True
    if name not in ("gzip", "x-gzip", "deflate"):
        return b"", False
    # RFC 9110 means zlib by deflate; some servers send it bare.
    for window in (_GZIP_OR_ZLIB, _RAW_DEFLATE):
        unpacking = zlib.decompressobj(window)
        try:
            return unpacking.decompress(body, max_bytes), unpacking.eof
        except zlib.error:
            continue
    return b"", False
