"""MedInfer in Slicer: findings as MRML nodes, files that Slicer opens, and pictures.

It runs inside the Slicer application (5.10 and later) and, through the `slicer-core` package, without it.
Importing it costs nothing: `slicer` and `vtk` are imported inside the functions that use them.
"""
