"""The bodies of responses that come compressed, although requests ask for identity."""

import zlib

# gzip or zlib, by the first bytes.
_GZIP_OR_ZLIB = 32 + zlib.MAX_WBITS
_RAW_DEFLATE = -zlib.MAX_WBITS


def decompressed(body: bytes, encoding: str, max_bytes: int) -> tuple[bytes, bool]:
    """Return a body out of its Content-Encoding, and whether that is all of it.

    Args:
        body: the body as it came.
        encoding: gzip, deflate or identity. With any other the result is empty.
        max_bytes: the most that is decompressed, whatever a bomb would become.
    """
    name = encoding.strip().lower()
    if name in ("", "identity") or not body:
        return body, True
    if name not in ("gzip", "x-gzip", "deflate"):
        return b"", False
    # RFC 9110 means zlib by deflate; some servers send it bare.
    for window in (_GZIP_OR_ZLIB, _RAW_DEFLATE):
        decompressor = zlib.decompressobj(window)
        try:
            return decompressor.decompress(body, max_bytes), decompressor.eof
        except zlib.error:
            continue
    return b"", False
