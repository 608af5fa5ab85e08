"""Painting thin things: coverage of thick capsules and of threads thinner than a voxel."""

from __future__ import annotations

import numpy as np

from ..lattice import Array, Floats, Lattice


def paint_capsules(cover: Array, lattice: Lattice, start: Floats, end: Floats, first: Floats, last: Floats) -> None:
    """Raise `cover` (0–1) to the part of each voxel that lies in a tapering capsule, in place.

    start, end: `[n, 3]` x, y, z mm; first, last: radii there, mm.
    """
    step = np.abs(lattice.step)
    edge = float(np.cbrt(np.prod(step)))
    reach = np.maximum(first, last) + edge
    low = lattice.index(np.maximum(start, end) + reach[:, None])  # x and y fall with the index
    high = lattice.index(np.minimum(start, end) - reach[:, None])
    begin = np.ceil(np.minimum(low, high)).astype(int).clip(0, lattice.shape)
    stop = (np.floor(np.maximum(low, high)).astype(int) + 1).clip(begin, lattice.shape)
    z, y, x = (np.asarray(axis, np.float32) for axis in (lattice.z, lattice.y, lattice.x))
    way = (end - start).astype(np.float32)
    square = np.maximum(np.sum(way * way, axis=1), 1e-6)
    for n in np.flatnonzero(np.all(stop > begin, axis=1)):
        box = tuple(slice(a, b) for a, b in zip(begin[n], stop[n], strict=True))
        dz = (z[box[0]] - np.float32(start[n, 2]))[:, None, None]
        dy = (y[box[1]] - np.float32(start[n, 1]))[None, :, None]
        dx = (x[box[2]] - np.float32(start[n, 0]))[None, None, :]
        t = (dx * way[n, 0] + dy * way[n, 1] + dz * way[n, 2]) / square[n]
        np.clip(t, 0, 1, out=t)
        distance = np.sqrt((dx - t * way[n, 0]) ** 2 + (dy - t * way[n, 1]) ** 2 + (dz - t * way[n, 2]) ** 2)
        radius = first[n] + t * np.float32(last[n] - first[n])
        part = np.clip((radius - distance) * np.float32(1 / edge) + np.float32(0.5), 0, 1)
        np.maximum(cover[box], part, out=cover[box])


def splat(cover: Array, lattice: Lattice, points: Floats, volume: Floats) -> None:
    """Add the volumes (mm³) of small grains at `points` to the eight voxels around each, as parts of a voxel."""
    place = lattice.index(points)
    whole = np.floor(place)
    inside = np.all((whole >= 0) & (whole < np.array(lattice.shape) - 1), axis=1)
    base, part = whole[inside].astype(np.int64), (place - whole)[inside]
    amount = volume[inside] / lattice.voxel_mm3
    _, rows, columns = lattice.shape
    flat = cover.reshape(-1)
    for corner in np.ndindex(2, 2, 2):
        weight = amount * np.prod(np.where(corner, part, 1 - part), axis=1)
        at = base + corner
        np.add.at(flat, (at[:, 0] * rows + at[:, 1]) * columns + at[:, 2], weight.astype(np.float32))
