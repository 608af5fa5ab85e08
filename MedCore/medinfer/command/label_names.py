"""Labels under the names of another scheme: a tooth as 11 (FDI), 8 (Universal) or by its anatomical name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ..errors import PackageError
from ..findings import Findings
from ..manifest import Manifest


def schemes(manifest: Manifest) -> list[str]:
    """The schemes in which some labels of the package have names, in the order in which they appear."""
    return list(dict.fromkeys(scheme for label in manifest.labels for scheme in label.names))


def renamed(findings: Findings, manifest: Manifest, scheme: str) -> tuple[Findings, Manifest]:
    """Both with the names of `scheme`, compared without case; labels that have none in it keep their own.

    Raises PackageError for a scheme that the package does not know.
    """
    known = {entry.casefold(): entry for entry in schemes(manifest)}
    if scheme.casefold() not in known:
        offered = f"it has {', '.join(known.values())}" if known else "it has no other names"
        raise PackageError(f"{manifest.id} has no label names in the scheme {scheme!r}; {offered}.")
    chosen = known[scheme.casefold()]
    words = {label.name: label.names.get(chosen, label.name) for label in manifest.labels}

    labels = tuple(label.model_copy(update={"name": words[label.name]}) for label in manifest.labels)
    segments = tuple(
        replace(one, label=words.get(one.label, one.label), flags=tuple(_said(flag, words) for flag in one.flags))
        for one in findings.segments
    )
    return replace(findings, segments=segments), manifest.model_copy(update={"labels": labels})


def _said(flag: str, words: Mapping[str, str]) -> str:
    """A flag with the labels that it offers under their new names: "number unsure: 14 or 15"."""
    what, colon, offered = flag.partition(": ")
    return f"{what}{colon}{' or '.join(words.get(label, label) for label in offered.split(' or '))}"
