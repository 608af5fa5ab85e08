"""From files to a `Volume`: NIfTI, DICOM, and what SimpleITK reads; and a `Volume` to a file."""
