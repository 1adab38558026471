"""Compress what is sent to browsers."""

from isal import isal_zlib


def compressed(data: bytes) -> bytes:
    """`data` as a gzip file; the lock is free meanwhile.

    Weights are noise to a search for repeated strings: zlib at its fastest takes ten times as long and makes it larger.
    """
    packer = isal_zlib.compressobj(1, isal_zlib.DEFLATED, 16 + isal_zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()
