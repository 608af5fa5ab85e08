"""Fetching a model from its public home, and installing it."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from ..errors import PackageError
from ..library.catalogue import Download
from ..library.download import Progress, download
from ..library.library import downloads, public_models
from ..library.package import ModelPackage, load_package, sha256_of, write_manifest
from ..library.places import user_folder
from ..library.trusted import trust, trusted_sha256
from ..spelling import suggestion
from .adding import add
from .given_as import give_as

# The extras that bring what converts a format.
_EXTRAS = {"h5py": "convert", "onnx": "convert", "dynamic_network_architectures": "nnunet", "monai": "monai"}
# Licences under which anybody may use a model for anything.
_FREE = ("Apache-2.0", "MIT", "BSD-3-Clause", "CC0-1.0")


def fetch(
    name: str, *, agree: Callable[[str], bool] | None = None, progress: Progress | None = None,
    cancel: Callable[[], bool] | None = None,
) -> ModelPackage:
    """Download the entry `name` of the catalogue, or of the public models, and install it under that id.

    agree(question): whether the user agrees to fetch what cannot be verified, or what has conditions; None: nobody can
    be asked, and it is refused. Once agreed to, the content's sha256 is kept, and nothing else is taken from that
    address again. Raises PackageError, DownloadError, OutputError, Cancelled.
    """
    offer = offered(name)
    if offer.how:
        raise PackageError(f"{offer.title} cannot be fetched. {offer.how}")
    _check_converters(offer)
    known = offer.sha256 or trusted_sha256(offer.url)
    question = conditions(offer)
    if question and not trusted_sha256(offer.url) and (agree is None or not agree(question)):
        raise PackageError(f"{name} was not fetched: {question} Agree with --agree.")
    content = (known or offer.checksum or "unverified").rpartition(":")[2]
    kept = user_folder() / ".downloads" / f"{offer.id}-{content[:12]}"
    source = download(
        offer.url, kept, known, size=offer.size, checksum=offer.checksum, progress=progress, cancel=cancel
    )
    if not known:
        trust(offer.url, sha256_of(source))
    package = add(source, offer.format, finish=lambda folder: _finish(folder, offer))
    # What was fetched is inside the package now.
    source.unlink(missing_ok=True)
    return package


def offered(name: str) -> Download:
    """The entry of that id. Raises PackageError."""
    offers = {**public_models(), **downloads()}
    if name not in offers:
        listed = ", ".join(downloads()) or "none"
        raise PackageError(
            f"There is no download called {name!r}; available: {listed}, and what `medinfer models --public` lists."
            f"{suggestion(name, offers)}"
        )
    return offers[name]


def conditions(offer: Download) -> str:
    """What a user has to agree to before an entry is fetched, in sentences; empty: nothing."""
    said = [offer.doubt] if offer.doubt else []
    if offer.licence not in _FREE:
        said.append(f"Its licence is {offer.licence} ({offer.homepage}).")
    return " ".join(said)


def _check_converters(offer: Download) -> None:
    missing = [need for need in offer.needs.split(", ") if need and find_spec(need) is None]
    if missing:
        extras = ",".join(dict.fromkeys(_EXTRAS[need] for need in missing if need in _EXTRAS)) or "torch"
        raise PackageError(
            f"Converting {offer.id} into a package needs {' and '.join(missing)}; install medinfer[{extras}]."
        )


def _finish(folder: Path, offer: Download) -> None:
    """Give the package what its own files do not say."""
    if offer.gives:
        give_as(folder, offer.gives, [name for name in offer.only.split(", ") if name])
    if not offer.purpose:
        return  # of MedInfer's own catalogue: its importer says everything
    data = load_package(folder).manifest.data()
    data.update(id=offer.id, title=offer.title)
    data["card"].update(summary=offer.purpose, licence=offer.licence, homepage=offer.homepage)
    if offer.orientation:
        for one in data["passes"]:
            one["prepare"]["orientation"] = offer.orientation
    write_manifest(folder, data)
