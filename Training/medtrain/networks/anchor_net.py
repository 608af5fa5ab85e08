"""The nodule detector that MedInfer bundles: grt123's network in a size of our own.

The network itself lies where published weights of it become packages.
"""

from __future__ import annotations

from medinfer.importers.anchor_net import GRT123, MULTIPLE, STRIDE, AnchorNet, AnchorNetSpec, ResidualBlock

SISTER = AnchorNetSpec(
    stem=16, widths=(32, 32, 48, 48), depths=(1, 2, 2, 1), back_widths=(32, 48), back_depths=(1, 2), head=48
)
"""The bundled network: small enough to be trained on two CPU cores in an hour and shipped twice in 8 MB."""

__all__ = ["GRT123", "MULTIPLE", "SISTER", "STRIDE", "AnchorNet", "AnchorNetSpec", "ResidualBlock"]
