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
from .network import CoordinatesInput, File, ImageInput, Network, NetworkInput, PointInput
from .preparation import (
    BodyRegion,
    Clip,
    IntensityStep,
    LungsRegion,
    Percentiles,
    PointsRegion,
    Prepare,
    Region,
    Scale,
    WholeRegion,
    ZScore,
)
from .stages import SCHEMA_VERSION, Companion, Manifest, Stage, Task, json_schema
from .tilings import BlendTiling, CropTiling, Pad, PatchTiling, SlabTiling, Tiling

__all__ = [
    "SCHEMA_VERSION", "AnchorsDecoder", "Arch", "BlendTiling", "BodyRegion", "Card", "Chain", "ClassesDecoder", "Clip",
    "Code", "Companion", "CoordinatesInput", "CropTiling", "Decoder", "Figure", "File", "HeatmapDecoder", "ImageInput",
    "InstancesDecoder", "IntensityStep", "Label", "LabelsDecoder", "LungsRegion", "Manifest", "Network",
    "NetworkInput", "Pad", "PatchTiling", "Percentiles", "PointInput", "PointsRegion", "Prepare", "Region", "Scale",
    "SegmentsDecoder", "SlabTiling", "Stage", "Task", "Terminology", "Tiling", "WholeRegion", "ZScore", "json_schema",
]
