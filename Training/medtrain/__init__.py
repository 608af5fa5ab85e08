"""Training for MedInfer: phantoms, data sets, networks, losses, metrics, export. Not shipped with the extension."""
