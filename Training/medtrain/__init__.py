"""Training side of MedInfer: phantoms, data sets, networks, losses, metrics, export. Never shipped into Slicer."""
