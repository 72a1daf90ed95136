"""A wheel with one line more in one of its files, and a RECORD that says so: what a thief of an index account would upload.

By hand: ``python -m sanctity.lab.tamper WHEEL MEMBER LINE``. Name, version and metadata stay, so nothing but the hash of the file
can tell it from the real one. RECORD's rows are those of the PyPA specification "Recording installed projects".
"""

from __future__ import annotations

import argparse
import base64
import csv
import hashlib
import io
import os
import zipfile

__all__ = ["replace_wheel"]


def replace_wheel(path: str, member: str, line: str) -> None:
    """Append *line* to *member* of the wheel at *path*, state it in RECORD, and put the new wheel in the old one's place.

    Raises:
        KeyError: it has no such member. OSError: it can not be read or written.
    """
    temporary = f"{path}.{os.getpid()}.tmp"
    try:
        with zipfile.ZipFile(path) as old, zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as new:
            changed = old.read(member) + f"{line}\n".encode()
            record = next(name for name in old.namelist() if name.endswith(".dist-info/RECORD") and name.count("/") == 1)
            for info in old.infolist():
                data = changed if info.filename == member else old.read(info)
                if info.filename == record:
                    data = _record(data.decode(), member, changed)
                new.writestr(info, data, compresslevel=1)
        os.replace(temporary, path)
    finally:
        if os.path.exists(temporary):
            os.unlink(temporary)


def _record(text: str, member: str, changed: bytes) -> bytes:
    """RECORD *text* with the row of *member* as its *changed* bytes are."""
    digest = base64.urlsafe_b64encode(hashlib.sha256(changed).digest()).rstrip(b"=").decode()
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    for row in csv.reader(io.StringIO(text)):
        writer.writerow((member, f"sha256={digest}", str(len(changed))) if row and row[0] == member else row)
    return out.getvalue().encode()


def main() -> None:
    """Replace a wheel by one with a line more."""
    parser = argparse.ArgumentParser(prog="python -m sanctity.lab.tamper", description="Add a line to a file inside a wheel.")
    parser.add_argument("wheel")
    parser.add_argument("member")
    parser.add_argument("line")
    asked = parser.parse_args()
    replace_wheel(asked.wheel, asked.member, asked.line)


if __name__ == "__main__":
    main()
