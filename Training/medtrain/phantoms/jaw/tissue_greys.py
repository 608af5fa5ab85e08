"""Grey values of the tissues as a cone-beam scanner shows them, drawn for one scan.

HU-like values before the scanner's own drift. Ranges after Pauwels et al. (Dentomaxillofac Radiol 2013) for soft tissue
and bone in CBCT; enamel, dentin and filling materials after Gaeta-Araujo et al. (2021) and manufacturers' densities.
"""

from __future__ import annotations

import numpy as np

from ..lattice import Array
from .spec import Tissue

# lowest and highest mean over scans, and the standard deviation of the texture within the tissue
GREYS: dict[Tissue, tuple[float, float, float]] = {
    Tissue.AIR: (-1000, -1000, 0),
    Tissue.SKIN: (0, 120, 15),
    Tissue.FAT: (-150, -60, 15),
    Tissue.SOFT: (20, 110, 20),
    Tissue.MUSCLE: (40, 130, 20),
    Tissue.TONGUE: (20, 120, 25),
    Tissue.AIRWAY: (-1000, -900, 0),
    Tissue.SINUS: (-1000, -900, 0),
    Tissue.MUCOSA: (-20, 80, 12),
    Tissue.CORTICAL: (900, 1700, 110),
    Tissue.CANCELLOUS: (150, 700, 170),
    Tissue.LAMINA_DURA: (900, 1700, 90),
    Tissue.LIGAMENT: (50, 400, 60),
    Tissue.FOLLICLE: (0, 150, 15),
    Tissue.CANAL: (-50, 200, 40),
    Tissue.CANAL_WALL: (600, 1300, 120),
    Tissue.ENAMEL: (2300, 3200, 120),
    Tissue.DENTIN: (1300, 1900, 70),
    Tissue.PULP: (50, 350, 40),
    Tissue.COMPOSITE: (1500, 3200, 120),
    Tissue.ROOT_FILLING: (3000, 5500, 150),
    Tissue.AMALGAM: (6000, 9000, 0),
    Tissue.CROWN: (4500, 9000, 0),
    Tissue.IMPLANT: (4000, 6500, 0),
    Tissue.SPINE_CORTICAL: (500, 1100, 110),
    Tissue.SPINE_CANCELLOUS: (120, 400, 90),
    Tissue.DISC: (40, 140, 20),
    Tissue.CORD: (20, 80, 8),
    Tissue.CARTILAGE: (80, 300, 40),
}


def draw_greys(rng: np.random.Generator) -> tuple[Array, Array]:
    """Mean and texture of each tissue, indexed by its value; `[len(Tissue)]` each."""
    mean = np.zeros(len(Tissue), np.float32)
    texture = np.zeros(len(Tissue), np.float32)
    for tissue, (low, high, spread) in GREYS.items():
        mean[tissue], texture[tissue] = rng.uniform(low, high), spread * rng.uniform(0.5, 1.5)
    return mean, texture
