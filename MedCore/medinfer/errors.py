"""What can go wrong, told to the person who reads it.

Every message is one clear sentence or two: what is wrong, with which file or field, and what to do.
The command line prints the message alone; the stack trace goes to the log.
"""


class MedInferError(Exception):
    """Base of everything that MedInfer refuses on purpose. Its text is fit for a user's eyes."""


class ScanError(MedInferError):
    """A scan that cannot be read, or that is not what a model needs."""


class PackageError(MedInferError):
    """A model package whose `model.json` or weights cannot be trusted or used."""


class DeviceError(MedInferError):
    """A backend, device or precision that was asked for and is not there, or that ran out of memory."""


class OutputError(MedInferError):
    """A result that could not be written."""


class DownloadError(MedInferError):
    """A package that could not be fetched."""


class Cancelled(MedInferError):  # noqa: N818 (a request that was met, not a fault)
    """The user stopped the run. Nothing was written."""
