"""Everything that is wrong with a package, as far as it can be seen without a scan."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from ..backends import NetworkFile, Session, open_session
from ..decoders import decoding_for
from ..decoders.activation import probability
from ..errors import DeviceError, PackageError
from ..library.package import ModelPackage, load_package, verified
from ..manifest import File, Label, Manifest, NetworkInput, Pass
from ..manifest.reading import ManifestError
from ..tiles.joining import open_joiner
from ..tiles.tiling import Tile, TilePlan
from ..volume import Grid
from .feeds import Channels, coordinates_of, middle_gaussian
from .network_answer import answer
from .network_run import plan_tiles

# Edge of the tile that is tried where the network takes any size.
_SMALL = 64


@dataclass(frozen=True)
class Checked:
    """problems: one sentence each, none if the package can be used. untried: what could not be tried here, and why.
    package: None where its `model.json` cannot be read."""

    problems: tuple[str, ...]
    untried: tuple[str, ...] = ()
    package: ModelPackage | None = None


def check_package(folder: Path) -> Checked:
    """Validate `model.json`, verify every file, open each network, and run it on one tile of noise."""
    try:
        package = load_package(folder)
    except ManifestError as error:
        return Checked((*error.sentences, *_file_problems(folder, _readable_files(folder))))
    except PackageError as error:
        return Checked((str(error),))
    problems: list[str] = []
    untried: list[str] = []
    for one in package.manifest.passes:
        for file in (file for member in one.network.members for file in member):
            try:
                _try(package, one, NetworkFile(verified(folder, file), file.format, _data_of(folder, file)))
            except PackageError as error:
                problems.append(str(error))
            except DeviceError as error:
                untried.append(f"{folder / file.path} was not tried: {error}")
    return Checked(tuple(dict.fromkeys(problems)), tuple(dict.fromkeys(untried)), package)


def _data_of(folder: Path, file: File) -> tuple[tuple[str, Path], ...]:
    return tuple((name, folder / entry.path) for name, entry in file.data_names.items())


def _readable_files(folder: Path) -> Iterator[File]:
    """The network files that a `model.json` with other mistakes still names."""
    found: list[Any] = [json.loads((folder / "model.json").read_text(encoding="utf-8"))]
    while found:
        entry = found.pop()
        if isinstance(entry, dict) and "sha256" in entry and "format" in entry:
            try:
                yield File.model_validate_json(json.dumps(entry))
            except ValidationError:
                continue  # which is one of the mistakes
        elif isinstance(entry, dict | list):
            found += entry.values() if isinstance(entry, dict) else entry


def _file_problems(folder: Path, files: Iterator[File]) -> Iterator[str]:
    for file in files:
        try:
            verified(folder, file)
        except PackageError as error:
            yield str(error)


def _try(package: ModelPackage, one: Pass, file: NetworkFile) -> None:
    """Open a network of a pass and run it on one tile. Raises PackageError, DeviceError."""
    names = list(dict.fromkeys(entry.name for entry in one.network.inputs))
    rank = 2 + one.network.dimensions
    outputs, read = one.network.outputs, package.reader()
    with open_session([file], inputs=names, outputs=outputs, device="cpu", load_bytes=read, rank=rank) as session:
        _run_tile(package.manifest, one, session)


def _run_tile(manifest: Manifest, one: Pass, session: Session) -> None:
    """The answer for a tile fits the tiling and the decoder, or PackageError says why not."""
    labels: Sequence[Label] = manifest.labels_of(one) or (Label(value=1, name=manifest.unnamed),)
    shape = _shape_of(one)
    plan = None if one.tiling.join == "patches" else plan_tiles(shape, one)
    tile = Tile(0, (0, 0, 0), shape, (0, 0, 0), shape) if plan is None else plan.tiles[0]
    values = answer(tile, one, session, [_noise(entry, manifest, one, plan) for entry in one.network.inputs])
    if plan is None:
        _check_patch(one, values)
        return
    joined = open_joiner(plan).add(tile, values)
    if one.decoder.kind == "instances":
        return  # votes of noise lead nowhere
    if one.decoder.kind == "segments" and one.decoder.activation == "none":
        # All channels are to be probabilities; a run looks at the background alone, which is quicker.
        probability(values, "none")
    grid = Grid(shape, np.eye(4))
    decoding = decoding_for(one, labels, grid, one.decoder.threshold, scan=grid)
    for block in joined:
        decoding.feed(block.start, block.values)


def _shape_of(one: Pass) -> tuple[int, int, int]:
    """Of a volume that is one tile: a small one where the network takes any size."""
    tiling = one.tiling
    if tiling.join == "slabs":
        edge = -(-_SMALL // tiling.multiple) * tiling.multiple
        return tiling.window, edge, edge
    if tiling.join == "crop" and tiling.fit:
        k, j, i = (min(size, _SMALL) for size in tiling.patch)
        return k, j, i
    return tiling.patch


def _check_patch(one: Pass, values: NDArray[np.float32]) -> None:
    assert one.tiling.join == "patches"
    wanted = tuple(-(-size // one.tiling.stride) for size in one.tiling.patch)
    if one.decoder.kind != "classes" and values.shape[1:] != wanted:
        raise PackageError(
            f"The network of the pass {one.name!r} returned {values.shape[1:]} voxels for a patch of "
            f"{one.tiling.patch}: correct tiling.patch or tiling.stride in model.json."
        )


def _noise(entry: NetworkInput, manifest: Manifest, one: Pass, plan: TilePlan | None) -> Channels:
    """What an input gets: noise for the image, and for what an earlier pass found that it found nothing."""
    if entry.role == "image":
        return lambda tile: np.random.default_rng(0).normal(size=(1, *tile.shape)).astype(np.float32)
    if entry.role == "coordinates":
        assert plan is not None
        return partial(coordinates_of, plan=plan)
    if entry.role == "point":
        return lambda tile: middle_gaussian(one)
    count = len(entry.labels or manifest.labels_of(manifest.pass_named(entry.of)))
    return lambda tile: np.zeros((count, *tile.shape), np.float32)
