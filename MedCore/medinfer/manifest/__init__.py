"""`model.json`: everything a run needs to know about a network, and what its user must know.

The classes of this package are the schema; `python -m medinfer.manifest` prints it as JSON Schema, and the copy
(`model.schema.json`) is published for editors. Unknown fields are errors: a misspelt field must not be ignored.
Sizes and positions are given along k, j, i (slowest axis first) of the scan after it was brought to `orientation`.
"""

from .card import Card, Code, Figure, Label, Terminology
from .decoding import (
    AnchorsDecoder,
    Arch,
    Chain,
    ClassesDecoder,
    Decoder,
    HeatmapDecoder,
    InstancesDecoder,
    LabelsDecoder,
    SegmentsDecoder,
)
from .images import Image
from .model import SCHEMA_VERSION, Manifest, json_schema
from .network import (
    CoordinatesInput,
    DataFile,
    File,
    ImageInput,
    LabelsInput,
    LandmarksInput,
    Network,
    NetworkInput,
    PointInput,
)
from .passes import Kind, Pass
from .preparation import (
    BodyRegion,
    Clip,
    FoundRegion,
    IntensityStep,
    LungsRegion,
    NonzeroRegion,
    Percentiles,
    Prepare,
    Range,
    Region,
    Resampling,
    Scale,
    WholeRegion,
    ZScore,
)
from .result import Result, Task
from .tilings import BlendTiling, CropTiling, Pad, PatchTiling, SlabTiling, Tiling

__all__ = [
    "SCHEMA_VERSION", "AnchorsDecoder", "Arch", "BlendTiling", "BodyRegion", "Card", "Chain", "ClassesDecoder", "Clip",
    "Code", "CoordinatesInput", "CropTiling", "DataFile", "Decoder", "Figure", "File", "FoundRegion", "HeatmapDecoder",
    "Image", "ImageInput", "InstancesDecoder", "IntensityStep", "Kind", "Label", "LabelsDecoder", "LabelsInput",
    "LandmarksInput", "LungsRegion", "Manifest", "Network", "NetworkInput", "NonzeroRegion", "Pad", "Pass",
    "PatchTiling", "Percentiles", "PointInput", "Prepare", "Range", "Region", "Resampling", "Result", "Scale",
    "SegmentsDecoder", "SlabTiling", "Task", "Terminology", "Tiling", "WholeRegion", "ZScore", "json_schema",
]
