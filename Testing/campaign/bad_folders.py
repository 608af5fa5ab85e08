"""Folders, links, archives and names that file systems allow and nobody expects."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable
from pathlib import Path

from .bad_dicom import save, slices_of
from .kinds import BOTH, OK, SECOND, Kind, detect, of_scan, saved, small_scan

Zip = zipfile.ZipFile
_NOTHING = r"contains no scan; give a folder with"


def folder_with(change: Callable[[Path], object], name: str = "study") -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        (folder / name).mkdir()
        change(folder / name)
        return folder / name

    return make


def named(name: str) -> Callable[[Path], Path]:
    """The small scan under another name."""
    return lambda folder: saved(folder).rename(folder / name)


def archive(
    fill: Callable[[Zip, Path], object], change: Callable[[bytes], bytes] = lambda data: data
) -> Callable[[Path], Path]:
    """A .zip, filled by `fill(archive, folder of a series)`, its bytes changed afterwards."""

    def make(folder: Path) -> Path:
        series, path = save(folder / "ct", slices_of(small_scan())), folder / "study.zip"
        with Zip(path, "w", zipfile.ZIP_DEFLATED) as stream:
            fill(stream, series)
        path.write_bytes(change(path.read_bytes()))
        return path

    return make


def whole(stream: Zip, series: Path) -> None:
    for path in sorted(series.iterdir()):
        stream.write(path, f"ct/{path.name}")


def _leading_out(stream: Zip, series: Path) -> None:
    whole(stream, series)
    stream.writestr("../../evil.txt", "x")


def _two_studies(stream: Zip, series: Path) -> None:
    whole(stream, series)
    other = small_scan().voxels.copy()
    other[:10] = -1000
    second = slices_of(small_scan().with_voxels(other), StudyInstanceUID="1.9", SeriesNumber=9, PatientID="2")
    for path in sorted(save(series.parent / "second", second).iterdir()):
        stream.write(path, f"second/{path.name}")


def _bomb(stream: Zip, series: Path) -> None:
    """Two gigabytes of zeros, told by the directory of the archive alone."""
    stream.writestr("zeros.dcm", bytes(1 << 20))


def _said_to_be_large(data: bytes) -> bytes:
    """The sizes in the archive's directory become 3 GiB each, of 1 KiB packed."""
    at = data.rindex(b"PK\x01\x02")
    return data[: at + 24] + (3 << 30).to_bytes(4, "little") + data[at + 28:]


def _encrypted(data: bytes) -> bytes:
    """The bit of each entry that says that it is encrypted, in its own header and in the directory."""
    content = bytearray(data)
    for mark, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = content.find(mark)
        while at >= 0:
            content[at + flags] |= 1
            at = content.find(mark, at + 4)
    return bytes(content)


def _circle(folder: Path) -> None:
    saved(folder)
    (folder / "again").symlink_to(folder)
    (folder / "a").symlink_to(folder / "b")
    (folder / "b").symlink_to(folder / "a")
    (folder / "dead.nii.gz").symlink_to(folder / "nothing")


def _pipe(folder: Path) -> Path:
    os.mkfifo(folder / "pipe.nii.gz")
    return folder / "pipe.nii.gz"


def _pipe_beside(folder: Path) -> None:
    saved(folder)
    os.mkfifo(folder / "pipe.nii.gz")


def _folder_called_as_a_file(folder: Path) -> Path:
    saved(folder / "chest.nii.gz", "scan.nii.gz")
    return folder / "chest.nii.gz"


def _not_utf8(folder: Path) -> Path:
    return saved(folder).rename(os.fsdecode(os.fsencode(folder) + b"/ch\xe9st.nii.gz"))


def _texts(folder: Path) -> None:
    (folder / "readme.txt").write_text("see the CT")
    (folder / "report.pdf").write_bytes(b"%PDF-1.7")


def _mixed(folder: Path) -> None:
    _texts(folder)
    saved(folder)
    (folder / "broken.nii.gz").write_bytes(b"")


def _socket_like(folder: Path) -> None:
    saved(folder)
    (folder / ".hidden").mkdir()
    saved(folder / ".hidden", "secret.nii.gz")


def _dead_link(folder: Path) -> Path:
    (folder / "dead.nii.gz").symlink_to(folder / "nothing")
    return folder / "dead.nii.gz"


def _self_link(folder: Path) -> Path:
    (folder / "loop.nii.gz").symlink_to(folder / "loop.nii.gz")
    return folder / "loop.nii.gz"


def _empty(path: Path) -> Path:
    path.touch()
    return path


def _text(path: Path) -> Path:
    path.write_text("see the CT")
    return path


FOLDERS = (
    Kind("an empty folder", of_scan(folder_with(lambda folder: None)), says=(rf"study {_NOTHING}",)),
    Kind("a folder of texts", of_scan(folder_with(_texts)), says=(rf"study {_NOTHING}",)),
    Kind("a folder with a scan and a broken one", of_scan(folder_with(_mixed)), found={"study-chest": BOTH},
         says=(r"broken\.nii\.gz is an empty file",)),
    Kind("a hidden folder beside a scan", of_scan(folder_with(_socket_like)), OK, found={"study-chest": BOTH}),
    Kind("links in circles and links to nothing", of_scan(folder_with(_circle)), OK, found={"study-chest": BOTH}),
    Kind("a link to nothing", of_scan(_dead_link), says=(r"dead\.nii\.gz does not exist",)),
    Kind("a link to itself", of_scan(_self_link),
         says=(r"loop\.nii\.gz (does not exist|cannot)",)),
    Kind("a FIFO called .nii.gz", of_scan(_pipe), says=(r"pipe\.nii\.gz is neither a file nor a folder; give",)),
    Kind("a FIFO beside a scan", of_scan(folder_with(_pipe_beside)), OK, found={"study-chest": BOTH}),
    Kind("a folder called .nii.gz", of_scan(_folder_called_as_a_file), OK, found={"chest.nii.gz-scan": BOTH}),
    Kind("a device", lambda place: detect(place, "/dev/null"),
         says=(r"^/dev/null is not a scan that MedInfer can read",)),
)

NAMES = (
    Kind("a name of 250 bytes", of_scan(named("x" * 243 + ".nii.gz")), OK, found={"x" * 100: BOTH}),
    Kind("a name of 80 signs of three bytes", of_scan(named("胸" * 80 + ".nii.gz")), OK,
         found={f"{'胸' * 60}-f7aed3": BOTH}),
    Kind("a name with a line end", of_scan(named("a\nb.nii.gz")), OK, found={"a-b": BOTH}),
    Kind("a broken scan whose name has a line end and a sequence for the terminal",
         of_scan(lambda folder: _empty(folder / "a\n\x1b[2Jb.nii.gz")),
         says=(r"a\\n\\x1b\[2Jb\.nii\.gz is an empty file",)),
    Kind("a name that ends in dots", of_scan(named("chest....nii.gz")), OK, found={"chest": BOTH}),
    Kind("a name of nothing but signs", of_scan(named("---.nii.gz")), OK, found={"scan": BOTH}),
    Kind("a name that is not UTF-8", of_scan(_not_utf8), OK, found={"ch-st": BOTH}),
    Kind("a name that begins like an option", lambda place: detect(
        place, named("--help.nii.gz")(place.folder).parent), OK, found={"given-help": BOTH}),
)

ARCHIVES = (
    Kind("a .zip cut short", of_scan(archive(whole, lambda data: data[:-300])),
         says=(r"study\.zip is not a whole \.zip archive \(.*\); copy it again",)),
    Kind("a .zip with other bytes in its middle",
         of_scan(archive(whole, lambda data: data[:90] + b"\xff" * 80 + data[170:])),
         says=(r"study\.zip is not a whole \.zip archive \(.*\); copy it again",)),
    Kind("a .zip that is text", of_scan(lambda folder: _text(folder / "study.zip")),
         says=(r"study\.zip is not a whole \.zip archive",)),
    Kind("a .zip of nothing", of_scan(archive(lambda stream, series: None)), says=(rf"study\.zip {_NOTHING}",)),
    Kind("a .zip that leads out of its folder", of_scan(archive(_leading_out)),
         says=(r"holds '\.\./\.\./evil\.txt', which would land outside its folder; it was refused",)),
    Kind("an encrypted .zip", of_scan(archive(whole, _encrypted)),
         says=(r"study\.zip is encrypted; unpack it yourself",)),
    Kind("a .zip that says it is 3000 times as large", of_scan(archive(_bomb, _said_to_be_large)),
         says=(r"study\.zip would become \d+ times as large unpacked",)),
    Kind("a .zip with two studies", of_scan(archive(_two_studies)), OK,
         found={"study-ct": BOTH, "study-second": (SECOND,)}),
)

KINDS = (*FOLDERS, *NAMES, *ARCHIVES)
