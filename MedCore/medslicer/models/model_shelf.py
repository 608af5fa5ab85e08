"""The models of a task as a panel shows them, read from plain JSON without any installed package.

What is read here is only shown. Before a model runs, the engine validates all of `model.json` and its files' sha256.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from medinfer.errors import PackageError
from medinfer.library.catalogue import Download, read_catalogue
from medinfer.library.places import DEFAULT_MODELS, bundled_folder, catalogue_file, public_file, user_folder

BUNDLED, INSTALLED, TO_FETCH = "bundled", "installed", "to fetch"
SCHEMA_VERSION = 2

_TASKS = tuple(DEFAULT_MODELS)
# A manifest of the largest package has 43 kB; what is larger than this is not one.
_MAX_BYTES = 4 << 20
# Where `decoder.threshold` is left out (see medinfer.manifest.decoding).
_THRESHOLDS = {"instances": 0.3}
# The catalogue does not say for which task a download is; all there are find nodules.
_TASK_OF_DOWNLOADS = "detect"


@dataclass(frozen=True)
class ShelfModel:
    """One model, or a folder that should be one (`problem`: a sentence for the user, else "").

    origin: "bundled", "installed" or "to fetch". folder: None for what is not here yet. bytes: of its files, or of the
    download. threshold: the declared score from which it reports. join: how its leading pass is cut ("crop", "blend",
    "slabs", "patches"). mirrors: whether a pass declares mirrored tiles. images: name and title of each image that it
    looks at, where they are several; the first is the scan. names: the schemes in which its labels have names; labels:
    all labels' names, in order. locked: it runs only with its key. needs: packages that turn the download into a
    model.
    """

    id: str
    origin: str
    title: str
    task: str = ""
    version: str = ""
    folder: Path | None = None
    bytes: int = 0
    threshold: float = 0.5
    join: str = ""
    mirrors: bool = False
    images: tuple[tuple[str, str], ...] = ()
    problem: str = ""
    card: Mapping[str, Any] = field(default_factory=dict)
    names: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    needs_torch: bool = False
    locked: bool = False
    needs: tuple[str, ...] = ()


def shelf(task: str) -> tuple[ShelfModel, ...]:
    """The models of `task` ("detect", "landmark", "segment"): the default one, other bundled ones, installed ones,
    broken ones (of whatever task, where that cannot be read), downloads. Never raises."""
    found: dict[str, ShelfModel] = {}
    # An installed model stands before the bundled one of its id, as in the library.
    for model in (*_models_in(user_folder(), INSTALLED), *_bundled()):
        found.setdefault(model.id, model)
    here = sorted(
        (model for model in found.values() if model.task in (task, "")),
        key=lambda model: (
            model.id != DEFAULT_MODELS.get(task), bool(model.problem), model.origin != BUNDLED, model.title.casefold()
        ),
    )
    offers = [offer for offer in _downloads() if offer.id not in found] if task == _TASK_OF_DOWNLOADS else []
    return (*here, *map(_offered, offers))


def public_models(task: str) -> tuple[Download, ...]:
    """Other people's models of `task` that have a public home. Never raises."""
    try:
        return tuple(offer for offer in read_catalogue(public_file()).values() if offer.task == task)
    except PackageError as error:
        logging.getLogger(__name__).warning(str(error))
        return ()


def model_in(folder: str | Path) -> ShelfModel | None:
    """The model in a folder on disk (or of the `model.json` in it); None if there is none. Never raises."""
    path = Path(folder)
    path = path.parent if path.name == "model.json" else path
    try:
        return _read(path, INSTALLED) if (path / "model.json").is_file() else None
    except (OSError, ValueError):  # a name that no file can have
        return None


def _bundled() -> tuple[ShelfModel, ...]:
    try:
        return tuple(_models_in(bundled_folder(), BUNDLED))
    except PackageError as error:
        return (ShelfModel("bundled", BUNDLED, "Bundled models", problem=str(error)),)


def _models_in(parent: Path, origin: str) -> Iterator[ShelfModel]:
    try:
        folders = sorted(path for path in parent.iterdir() if (path / "model.json").is_file())
    except OSError:  # not made yet, or not readable: nothing is installed
        return
    yield from (_read(folder, origin) for folder in folders)


def _downloads() -> tuple[Download, ...]:
    try:
        return tuple(read_catalogue(catalogue_file()).values())
    except PackageError as error:
        logging.getLogger(__name__).warning(str(error))
        return ()


def _offered(offer: Download) -> ShelfModel:
    card = {"summary": offer.title, "licence": offer.licence, "homepage": offer.homepage}
    needs = tuple(need for need in offer.needs.split(", ") if need)
    return ShelfModel(
        offer.id, TO_FETCH, offer.title, _TASK_OF_DOWNLOADS, offer.commit[:12], bytes=offer.size, card=card, needs=needs
    )


def _read(folder: Path, origin: str) -> ShelfModel:
    """What `model.json` in `folder` says, as far as it can be understood; what cannot is the problem."""
    data: Any = None
    try:
        data = _json(folder / "model.json")
        return _model(data, folder, origin)
    except _Unfit as error:
        said = data if isinstance(data, dict) else {}
        task = _text(said, "task")
        # The library knows what is broken by its folder.
        return ShelfModel(
            folder.name, origin, _text(said, "title", folder.name), task if task in _TASKS else "", folder=folder,
            problem=f"{folder / 'model.json'}: {error}.",
        )


class _Unfit(Exception):  # noqa: N818 (it becomes a problem's sentence)
    """What is wrong with a `model.json`, without where it lies."""


def _json(path: Path) -> Any:
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise _Unfit("it is too large for a model description; copy the model again")
        data = json.loads(path.read_text(encoding="utf-8"))
        # Half a surrogate pair is JSON, but no text that can be shown: a UnicodeEncodeError, which is a ValueError.
        json.dumps(data, ensure_ascii=False).encode()
        return data
    except OSError as error:
        raise _Unfit(f"it cannot be read ({error.strerror}); copy the model again") from None
    except (ValueError, RecursionError) as error:
        raise _Unfit(f"it is not JSON ({error}); copy the model again") from None


def _model(data: Any, folder: Path, origin: str) -> ShelfModel:
    if not isinstance(data, dict):
        raise _Unfit("it must hold a JSON object")
    version = data.get("schema_version")
    if isinstance(version, int) and version > SCHEMA_VERSION:
        raise _Unfit(f"it has schema_version {version}, and this MedInfer reads {SCHEMA_VERSION}: update MedInfer")
    if version not in (1, SCHEMA_VERSION) or isinstance(version, bool | float):
        raise _Unfit(f"the field schema_version must be 1 or {SCHEMA_VERSION}")
    task = _needed(data, "task", str)
    if task not in _TASKS:
        raise _Unfit(f"the field task is {task[:40]!r}, not one of {', '.join(_TASKS)}")
    passes = list(_passes(data))
    leading = _leading(data)
    decoder, tiling = _needed(leading, "decoder", dict), _needed(leading, "tiling", dict)
    labels = [label for part in (data, *_listed(data, "besides")) for label in _listed(part, "labels")]
    schemes = [scheme for label in labels if isinstance(label.get("names"), dict) for scheme in label["names"]]
    return ShelfModel(
        _needed(data, "id", str), origin, _needed(data, "title", str), task, _needed(data, "version", str), folder,
        bytes=_size(folder, passes), threshold=_threshold(decoder),
        join=_text(tiling, "join"),
        mirrors=any(isinstance(one.get("network"), dict) and one["network"].get("mirror") for one in passes),
        images=tuple((_needed(image, "name", str), _text(image, "title")) for image in _listed(data, "images")),
        card=_needed(data, "card", dict), names=tuple(dict.fromkeys(schemes)),
        labels=tuple(_needed(label, "name", str) for label in labels),
        needs_torch=any(all(file.get("format") != "onnx" for file in _files(one)) for one in passes),
        locked=any(file.get("locked") is True for one in passes for file in _files(one)),
    )


def _passes(data: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """All passes; of version 1 the main stage, and those inside it."""
    if data["schema_version"] == SCHEMA_VERSION:
        yield from _listed(data, "passes")
        return
    yield data
    yield from (data[name] for name in ("coarse", "naming") if isinstance(data.get(name), dict))
    yield from _listed(data, "besides")


def _leading(data: Mapping[str, Any]) -> Mapping[str, Any]:
    """The pass that finds what the result begins with (`Manifest.leading`); of version 1 the main stage."""
    if data["schema_version"] != SCHEMA_VERSION:
        return data
    named = {_needed(one, "name", str): one for one in _listed(data, "passes")}
    name = next((_text(entry, "of") for entry in _listed(data, "result")), "")
    for _ in named:
        one = named.get(name, {})
        if _needed(one, "decoder", dict).get("kind") != "classes":
            return one
        region = _needed(_needed(one, "prepare", dict), "region", dict)
        name = _text(region, "of")
    raise _Unfit("the field result names no pass that finds anything")


def _files(one: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    files = _listed(_needed(one, "network", dict), "files")
    if not files:
        raise _Unfit("the field network.files names no file")
    return files


def _size(folder: Path, passes: list[Mapping[str, Any]]) -> int:
    """Bytes of the network files, each counted once."""
    paths = {_needed(file, "path", str) for one in passes for file in _files(one)}
    total = 0
    for path in sorted(paths):
        try:
            total += (folder / path).stat().st_size
        except (OSError, ValueError):
            raise _Unfit(f"its file {path[:80]} is missing or cannot be read; reinstall the model") from None
    return total


def _threshold(decoder: Mapping[str, Any]) -> float:
    value = decoder.get("threshold", _THRESHOLDS.get(_text(decoder, "kind"), 0.5))
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1:
        raise _Unfit("the field decoder.threshold must be a number between 0 and 1")
    return float(value)


def _listed(data: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    """The objects in a list; [] where there is none."""
    values = data.get(name, [])
    if not isinstance(values, list) or not all(isinstance(value, dict) for value in values):
        raise _Unfit(f"the field {name} must be a list of objects")
    return values


def _needed(data: Mapping[str, Any], name: str, kind: type) -> Any:
    value = data.get(name)
    if not isinstance(value, kind) or not value:
        raise _Unfit(f"the field {name} is missing or wrong")
    return value


def _text(data: Mapping[str, Any], name: str, default: str = "") -> str:
    value = data.get(name)
    return value if isinstance(value, str) and value else default
