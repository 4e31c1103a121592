"""A Xet store for tests: that of the Hub client's own `hf_xet`, which keeps it in a folder for a `local://` address.

Nothing of it is ours but reading the list of a shard, the file that says which content has which hash. Its layout:
https://huggingface.co/docs/xet/shard
"""

from __future__ import annotations

import struct
import tempfile
from pathlib import Path

_HEADER, _ENTRY = 48, 48
_WITH_VERIFICATION, _WITH_SHA256 = 1 << 31, 1 << 30
_END = b"\xff" * 32


class XetStore:
    """A store in `folder`; `url` is what the Hub names to its client."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = f"local://{folder}"

    def hashes(self) -> dict[str, str]:
        """Xet's hash of each file that the store has, by its SHA-256."""
        found: dict[str, str] = {}
        for path in sorted(self.folder.glob("xet/xorbs/shards/*.mdb")):
            found |= _files_of(path.read_bytes())
        return found

    def read(self, sha256: str) -> bytes:
        """The content of a file, as hf_xet puts it together from the store."""
        import hf_xet

        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "content"
            with hf_xet.XetSession().new_file_download_group(endpoint=self.url) as group:
                group.start_download_file(hf_xet.XetFileInfo(self.hashes()[sha256], None), str(path))
            return path.read_bytes()


def _files_of(shard: bytes) -> dict[str, str]:
    """The files of a shard: for each a header with its hash, its parts, as many proofs, and its SHA-256."""
    found, at = {}, _HEADER
    while (name := shard[at : at + 32]) != _END:
        flags, parts = struct.unpack_from("<II", shard, at + 32)
        at += _HEADER + _ENTRY * parts * (2 if flags & _WITH_VERIFICATION else 1)
        if flags & _WITH_SHA256:
            found[_hexadecimal(shard[at : at + 32])] = _hexadecimal(name)
            at += _ENTRY
    return found


def _hexadecimal(digest: bytes) -> str:
    """A digest as Xet writes it: four numbers of 64 bits, the lowest byte first."""
    return "".join(f"{number:016x}" for number in struct.unpack("<4Q", digest))
