#!/bin/sh
# What Python packages cannot bring: the venv module, and OpenGL without a screen (EGL or OSMesa) for the pictures.
# Installed where the user is root and apt is there; otherwise named in one line. Pictures are optional: no failure.
set -u
python=${1:-python3}
missing=""

"$python" --version >/dev/null 2>&1 || {
    echo "'$python' cannot be run: name a Python 3.10 to 3.13, e.g. make demo PYTHON=/usr/bin/python3" >&2
    exit 1
}
"$python" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null || {
    echo "MedInfer needs Python 3.10 to 3.13, and '$python' is another: name one, e.g. make demo PYTHON=/usr/bin/python3" >&2
    exit 1
}
"$python" -c 'import ensurepip, venv' 2>/dev/null || missing="$missing python3-venv"
ldconfig -p 2>/dev/null | grep -q 'libEGL\.so\.1' || missing="$missing libegl1"
ldconfig -p 2>/dev/null | grep -q 'libGL\.so\.1' || missing="$missing libgl1"
ldconfig -p 2>/dev/null | grep -q 'libOSMesa\.so' || missing="$missing libosmesa6"
# SimpleITK, VTK and the inference runtimes lean on these; desktops have them, minimal images may not.
ldconfig -p 2>/dev/null | grep -q 'libXrender\.so\.1' || missing="$missing libxrender1"
ldconfig -p 2>/dev/null | grep -q 'libgomp\.so\.1' || missing="$missing libgomp1"
# Qt, for the panel tests.
for library in libxkbcommon.so.0:libxkbcommon0 libdbus-1.so.3:libdbus-1-3 libfontconfig.so.1:libfontconfig1 libglib-2.0.so.0:libglib2.0-0; do
    ldconfig -p 2>/dev/null | grep -qF "${library%%:*}" || missing="$missing ${library##*:}"
done
[ -z "$missing" ] && exit 0

if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "installing$missing"
    for try in 1 2; do
        # One by one: a package that this release does not have (libosmesa6) must not stop the others.
        for package in $missing; do
            DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$package" >/dev/null 2>&1
        done
        [ $try = 2 ] || apt-get update -qq >/dev/null 2>&1
    done
else
    echo "Please install:$missing (Debian, Ubuntu: sudo apt-get install$missing). Without libegl1 or libosmesa6 there are no pictures." >&2
fi
"$python" -c 'import ensurepip, venv' 2>/dev/null || { echo "Python's venv module is missing: install python3-venv." >&2; exit 1; }
exit 0
