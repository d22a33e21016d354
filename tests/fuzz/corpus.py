"""The inputs that are kept: a small file each, by target, named by its hash."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

FOLDER = Path(__file__).parent / "corpus"


def load(target: str, folder: Path = FOLDER) -> list[bytes]:
    """Those of one target, in the order of their names."""
    return [path.read_bytes() for path in sorted((folder / target).glob("*.bin"))]


def keep(target: str, inputs: Iterable[bytes], folder: Path = FOLDER) -> None:
    """These and no others."""
    wanted = {f"{hashlib.blake2b(data, digest_size=6).hexdigest()}.bin": data for data in inputs}
    place = folder / target
    place.mkdir(parents=True, exist_ok=True)
    for path in place.glob("*.bin"):
        if path.name not in wanted:
            path.unlink()
    for name, data in wanted.items():
        (place / name).write_bytes(data)
