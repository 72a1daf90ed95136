"""The floor: walk a tree, open, read and SHA-256 every regular file in it, and do nothing else.

    python bench/floor.py TREE [--workers N] [--no-hash]

This is the least that any program has to do that says it looked at every byte, written as tightly as Python's standard
library allows, so that a ratio to it is a hard one. It prints files, bytes and seconds as one line of JSON.

What was tried on the environment of `environment.py`, warm, and what it did to the whole:

- processes, not threads: the loop between two hashes holds the interpreter lock. With two of them 95 % of both cores is used,
  and a third gains nothing: the walk runs while the others hash, and the shared objects, which hold most bytes, go first,
  largest first (a stat of those alone; a stat of every file costs more than its balance gains);
- one `os.read` of just under 128 KiB, which the allocator does not map, is a whole small file: 4 % better than 64 KiB, 20 %
  better than 1 MiB; what is longer goes on in `readv` calls of 256 KiB, where 64 KiB to 1 MiB make no difference;
- mmap of the long files, `dir_fd`, `chdir`, `O_NOATIME`, a copied hash object, another SHA-256 for short files: within the noise.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import struct
import time
from hashlib import sha256

FIRST = 131_000
CHUNK = 256 * 1024
BATCH = 256  # files
Result = tuple[int, int]


def digest_batch(message: bytes, digests: list[bytes], view: memoryview, *, hashed: bool) -> int:
    """Hash the files whose paths *message* holds, with a NUL between two, and return their bytes."""
    read, readv, close, open_ = os.read, os.readv, os.close, os.open
    buffers = (view,)
    total = 0
    for path in message.split(b"\0"):
        fd = open_(path, os.O_RDONLY)
        data = read(fd, FIRST)
        size = len(data)
        total += size
        if hashed:
            digest = sha256(data)
            if size == FIRST:
                while size := readv(fd, buffers):
                    digest.update(view[:size])
                    total += size
            digests.append(digest.digest())
        elif size == FIRST:
            while size := readv(fd, buffers):
                total += size
        close(fd)
    return total


def serve(queue: socket.socket, result: int, *, hashed: bool) -> None:
    """Be a worker: take batches off *queue* until it is closed, then write files and bytes to *result*."""
    view = memoryview(bytearray(CHUNK))
    digests: list[bytes] = []
    files = total = 0
    while message := queue.recv(1 << 18):
        total += digest_batch(message, digests, view, hashed=hashed)
        files += message.count(b"\0") + 1
    os.write(result, struct.pack("<QQ", files, total))


def hash_tree(root: str, workers: int = 2, *, hashed: bool = True) -> Result:
    """Read, and unless told otherwise hash, every regular file under *root*; return how many files and bytes that was.

    The caller is one of the *workers*. Links are not followed. An error of the file system is raised.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    children: list[tuple[int, int]] = []
    for _ in range(workers - 1):
        reader, writer = os.pipe()
        if not (pid := os.fork()):
            ours.close()
            status = 1
            try:
                serve(theirs, writer, hashed=hashed)
                status = 0
            finally:
                os._exit(status)
        os.close(writer)
        children.append((pid, reader))
    ours.setblocking(False)

    large: list[tuple[int, bytes]] = []
    small: list[bytes] = []
    paths: list[bytes] = []
    stack = [os.fsencode(root)]
    while stack:
        with os.scandir(stack.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    stack.append(entry.path)
                elif entry.is_file(follow_symlinks=False):
                    if b".so" in entry.name and (size := entry.stat(follow_symlinks=False).st_size) > 1 << 20:
                        large.append((size, entry.path))
                    else:
                        paths.append(entry.path)
        if len(paths) >= BATCH:
            small.append(b"\0".join(paths[:BATCH]))
            del paths[:BATCH]
        if children and large:
            try:
                ours.send(large[-1][1])
                large.pop()
            except BlockingIOError:
                pass
    small += [b"\0".join(paths[start : start + BATCH]) for start in range(0, len(paths), BATCH)]
    batches = small
    batches += [message for _, message in sorted(large)]

    view = memoryview(bytearray(CHUNK))
    digests: list[bytes] = []
    files = total = 0
    while batches:
        while batches:
            try:
                ours.send(batches[-1])
            except BlockingIOError:
                break
            batches.pop()
        try:
            message = theirs.recv(1 << 18, socket.MSG_DONTWAIT)
        except BlockingIOError:
            continue
        total += digest_batch(message, digests, view, hashed=hashed)
        files += message.count(b"\0") + 1
    ours.close()
    while message := theirs.recv(1 << 18):
        total += digest_batch(message, digests, view, hashed=hashed)
        files += message.count(b"\0") + 1
    theirs.close()
    for pid, reader in children:
        done = os.read(reader, 16)
        os.close(reader)
        os.waitpid(pid, 0)
        if len(done) != 16:
            raise SystemExit("floor: a worker failed")
        more_files, more = struct.unpack("<QQ", done)
        files += more_files
        total += more
    return files, total


def main() -> None:
    """Measure one tree once."""
    parser = argparse.ArgumentParser(description="Walk, open, read and SHA-256 every regular file of a tree.")
    parser.add_argument("tree")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--no-hash", action="store_true", help="read only")
    options = parser.parse_args()
    started = time.perf_counter()
    files, total = hash_tree(options.tree, options.workers, hashed=not options.no_hash)
    print(
        json.dumps({"files": files, "bytes": total, "workers": options.workers, "seconds": round(time.perf_counter() - started, 4)})
    )


if __name__ == "__main__":
    main()
