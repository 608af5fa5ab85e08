"""`SampleData`: Slicer's module of sample scans, as far as an extension registers its own there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any


@dataclass(frozen=True)
class SampleDataSource:
    """One data set: where it is and what its node is called."""

    sampleName: str
    uris: tuple[str, ...]
    fileNames: tuple[str | None, ...]
    nodeNames: tuple[str | None, ...]
    checksums: tuple[str | None, ...]
    thumbnailFileName: str | None
    customDownloader: Callable[..., Any] | None
    loadFileTypes: tuple[str | None, ...]
    loadFiles: tuple[bool | None, ...]
    loadFileProperties: dict[str, Any] = field(compare=False)


class SampleDataLogic:
    """Fills `slicer.modules.sampleDataSources`: category -> its data sets."""

    @staticmethod
    def registerCustomSampleDataSource(
        category: str = "Custom", sampleName: str | None = None, uris: Any = None, fileNames: Any = None,
        nodeNames: Any = None, customDownloader: Any = None, thumbnailFileName: str | None = None,
        loadFileTypes: Any = None, loadFiles: Any = None, loadFileProperties: Any = None, checksums: Any = None,
        loadFileType: Any = None,
    ) -> None:
        """Raises ValueError where there are not as many file names as addresses. The same again changes nothing."""
        import slicer

        if not sampleName:
            raise ValueError("a sample needs a name")
        source = SampleDataSource(
            sampleName, _each(uris), _each(fileNames), _each(nodeNames), _each(checksums), thumbnailFileName,
            customDownloader, _each(loadFileTypes or loadFileType), _each(loadFiles), dict(loadFileProperties or {}),
        )
        if not customDownloader and not len(source.uris) == len(source.fileNames) == len(source.nodeNames):
            raise ValueError(f"{sampleName}: uris, fileNames and nodeNames must be as many")
        known = slicer.modules.sampleDataSources.setdefault(category, [])
        if source not in known:
            known.append(source)


def _each(value: Any) -> tuple[Any, ...]:
    return tuple(value) if isinstance(value, list | tuple) else (value,)


def sample_data_module() -> ModuleType:
    module = ModuleType("SampleData")
    module.SampleDataLogic, module.SampleDataSource = SampleDataLogic, SampleDataSource  # type: ignore[attr-defined]
    return module
