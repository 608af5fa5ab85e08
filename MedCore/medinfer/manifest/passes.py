"""One pass of a network over a scan: its region, inputs and findings."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from .decoding import Decoder, LabelsDecoder, SegmentsDecoder
from .fields import Name, PassName, Strict
from .network import Network
from .preparation import Prepare
from .tilings import Tiling

Kind = Literal["points", "boxes", "objects"]
"""What findings are: named points, boxes, or objects with voxels."""

_FINDS: dict[str, Kind] = {
    "anchors": "boxes", "labels": "boxes", "heatmap": "points", "segments": "objects", "instances": "objects",
}
# A point has no size and a box no voxels; an object has both a centroid and a box, a box has a centre.
CONVERTS: dict[Kind, tuple[Kind, ...]] = {
    "objects": ("objects", "points", "boxes"), "boxes": ("boxes", "points"), "points": ("points",),
}


class Pass(Strict):
    """One pass of a network over a scan."""

    name: PassName = Field(description="The name by which later passes, the result and the progress refer to it.")
    labels: tuple[Name, ...] | None = Field(
        default=None,
        description="Which of the model's labels it tells apart, by name, in the order of its channels; null: all of "
        "them; an empty list: what it finds has no name.",
    )
    prepare: Prepare = Field(description="From the scan to the network's grid.")
    network: Network = Field(description="The weights, and their inputs and outputs.")
    tiling: Tiling = Field(description="How the scan is cut into tiles and the results are joined.")
    decoder: Decoder = Field(description="From the network's output to findings.")
    gives: Kind | None = Field(
        default=None,
        description="What later passes and the result get: an object's centroid is a point, its box a box. null: what "
        "the decoder finds (points: heatmap; boxes: anchors, labels; objects: segments, instances); a decoder of "
        "classes gives what it names, under the names.",
    )

    @property
    def looks_at(self) -> str | None:
        """The name of the pass whose findings define this pass's region; None: it sees the scan itself."""
        return self.prepare.region.of if self.prepare.region.kind == "found" else None

    @property
    def finds(self) -> Kind | None:
        """The kind of findings of its decoder; None: it names the findings of another pass."""
        return _FINDS.get(self.decoder.kind)

    @property
    def stride(self) -> int:
        """Input voxels per output voxel; slabs answer on the input's own grid."""
        return 1 if self.tiling.join == "slabs" else self.tiling.stride

    @model_validator(mode="after")
    def _agrees(self) -> Pass:
        problems = [*self._decoder_problems(), *self._tiling_problems()]
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def _decoder_problems(self) -> list[str]:
        decoder, channels, problems = self.decoder, self.network.channels, []
        chain = decoder.chain if decoder.kind == "heatmap" else None
        up = self.prepare.orientation is not None and self.prepare.orientation[2] == "S"
        if chain is not None and chain.upside_down and (self.looks_at or not up):
            problems.append("chain.upside_down needs a pass that sees the scan itself with its k axis up (e.g. LPS)")
        if decoder.kind == "anchors" and channels != 5 * len(decoder.anchors):
            problems.append("network.channels must be 5 × the number of decoder.anchors")
        if decoder.kind in ("labels", "segments"):
            problems += _activation_problems(decoder, channels)
        if decoder.kind == "segments" and decoder.decide != "network" and (
            self.tiling.join == "patches" or self.stride != 1
        ):
            problems.append("decoder.decide = logits, probabilities or nearest needs tiles and tiling.stride = 1")
        if decoder.kind == "instances" and channels != 4:
            problems.append("decoder.kind = instances needs network.channels = 4: foreground and three offsets")
        if self.finds is None and self.gives is not None:
            problems.append("gives needs a decoder that finds something, not decoder.kind = classes")
        if self.finds is not None and self.gives is not None and self.gives not in CONVERTS[self.finds]:
            problems.append(f"gives is {self.gives}, but decoder.kind = {decoder.kind} finds {self.finds}")
        return problems

    def _tiling_problems(self) -> list[str]:
        decoder, join, problems = self.decoder, self.tiling.join, []
        roles = {entry.role for entry in self.network.inputs}
        if self.prepare.axes != "zyx" and (decoder.kind in ("anchors", "instances") or "coordinates" in roles):
            problems.append("prepare.axes must be zyx where channels stand for directions (anchors, instances, "
                            "coordinates)")
        if self.prepare.resampling.align != "edges" and any(
            entry.role == "labels" and entry.sampling == "linear" for entry in self.network.inputs
        ):
            problems.append("a labels input with sampling = linear needs prepare.resampling.align = edges")
        if "coordinates" in roles and join != "crop":
            problems.append("a coordinates input needs tiling.join = crop")
        if "point" in roles and join != "patches":
            problems.append("a point input needs tiling.join = patches")
        if join == "patches" and self.looks_at is None:
            problems.append("tiling.join = patches needs prepare.region.kind = found: patches lie around findings")
        if join == "patches" and decoder.kind not in ("heatmap", "classes", "segments"):
            problems.append("tiling.join = patches needs decoder.kind = heatmap, classes or segments")
        if self.network.dimensions == 2:
            along = "zyx".index(self.prepare.axes[0])
            if self.tiling.join not in ("crop", "blend") or self.tiling.patch[along] != 1:
                problems.append(
                    f"network.dimensions = 2 needs tiling.join = blend or crop, with 1 voxel along {'kji'[along]}"
                )
        if decoder.kind == "classes" and join != "patches":
            problems.append("decoder.kind = classes needs tiling.join = patches")
        if decoder.kind == "segments" and join == "patches" and decoder.overlap:
            problems.append("decoder.overlap needs tiling.join = blend or crop: patches share their voxels out")
        if decoder.kind == "segments" and join == "patches" and (self.network.channels != 1 or self.stride != 1):
            problems.append("decoder.kind = segments with tiling.join = patches needs network.channels and stride 1")
        return problems


def _activation_problems(decoder: LabelsDecoder | SegmentsDecoder, channels: int) -> list[str]:
    if decoder.activation == "softmax" and channels == 1:
        return ["decoder.activation = softmax needs several channels; for one, declare sigmoid"]
    if decoder.kind == "segments" and decoder.overlap:
        if decoder.activation == "softmax":
            return ["decoder.overlap needs a probability for each label: decoder.activation = sigmoid or none"]
        if decoder.order:
            return ["decoder.overlap keeps all labels, and none wins: remove decoder.order"]
        return []
    if decoder.order and not (decoder.activation == "sigmoid" and channels > 1):
        return ["decoder.order needs decoder.activation = sigmoid and several channels"]
    return []
