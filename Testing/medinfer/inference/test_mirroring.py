"""A run without the mirrored tiles that a model declares: equal to that of a model that declares none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from medinfer.inference.mirroring import mirrors, with_mirroring
from medinfer.library.package import load_package

Make = Callable[..., Path]


def test_mirrored_tiles_are_left_out_where_that_is_wanted(blob_package: Make) -> None:
    def mirrored(manifest: dict[str, Any]) -> None:
        manifest["network"]["mirror"] = ["k", "i"]

    plain, package = load_package(blob_package()), load_package(blob_package(mirrored))
    assert mirrors(package)
    assert not mirrors(plain)
    assert with_mirroring(package, True) is package
    assert with_mirroring(package, False).manifest.passes == plain.manifest.passes
    assert with_mirroring(plain, False) is plain
