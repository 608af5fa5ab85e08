"""Errors, as messages for the user.

Every message is one clear sentence or two: what is wrong, with which file or field, and what to do.
The command line prints the message alone; the stack trace goes to the log.
"""


class MedInferError(Exception):
    """Base class of all deliberate errors of MedInfer. The text is meant for the user."""


class ScanError(MedInferError):
    """A scan that cannot be read, or that does not suit the model."""


class PackageError(MedInferError):
    """A model package whose `model.json` or weights cannot be trusted or used."""


class DeviceError(MedInferError):
    """A requested backend, device or precision that is not available, or that ran out of memory."""


class OutOfMemory(DeviceError):  # noqa: N818 (the field's word for it)
    """Memory that does not suffice for a tile; smaller tiles, or fewer at once, may do."""


class OutputError(MedInferError):
    """A result that could not be written."""


class DownloadError(MedInferError):
    """A package that could not be fetched."""


class Cancelled(MedInferError):  # noqa: N818 (a request that was met, not a fault)
    """The user stopped the run. Nothing was written."""
