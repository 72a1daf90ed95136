"""Images by their pixels, decoded by Pillow: each frame an array of height, width and channels.

How a file is compressed and what is written beside the pixels is the container's. One decoder, Pillow's, reads both sides.
"""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from typing import Any, Final

from sanctity.model.result import Leaf, Result, Scalar
from sanctity.results.arrays import array_leaves, numpy_module
from sanctity.results.errors import invalid, needs, too_large

__all__ = ["read_image"]

#: The formats that are decoded. Others that Pillow knows are handed to programs of the machine (EPS to Ghostscript), or are fonts.
_DECODED: Final = ("PNG", "JPEG", "GIF", "TIFF", "BMP", "WEBP", "PPM")
#: What decoders raise where bytes are not what they expect.
_FAILURES: Final = (
    *(OSError, ValueError, SyntaxError, EOFError, TypeError, AttributeError, LookupError, ArithmeticError, RuntimeError),
    *(struct.error, zlib.error, AssertionError),
)
_MOST_FRAMES: Final = 1000
_MOST_PIXELS: Final = 200_000_000


def read_image(data: memoryview) -> Result:
    """The pixels of an image, its mode and size, and its palette where it has one."""
    try:
        from PIL import Image
    except ImportError as error:
        raise needs("pillow", "image") from error
    np = numpy_module()
    leaves: list[Leaf] = []
    try:
        with warnings.catch_warnings(), Image.open(io.BytesIO(data), formats=_DECODED) as image:
            warnings.simplefilter("ignore")
            frames = int(getattr(image, "n_frames", 1))
            if frames > _MOST_FRAMES or image.width * image.height * frames > _MOST_PIXELS:
                raise too_large(f"it has {frames:,} frames of {image.width:,} x {image.height:,} pixels")
            info = {key: str(value)[:200] for key, value in image.info.items() if isinstance(key, str)}
            container: list[tuple[str, str]] = [("encoded as", str(image.format)), *(sorted(info.items()))]
            for number in range(frames):
                image.seek(number)
                path = "pixels" if frames == 1 else f"frame {number}"
                leaves.append(Leaf(path=f"{path}:mode", value=Scalar(kind="mode", value=image.mode)))
                if (seen := image.info.get("transparency")) is not None:
                    leaves.append(Leaf(path=f"{path}:transparency", value=Scalar(kind="transparency", value=repr(seen))))
                palette: Any = image.getpalette() if image.mode in {"P", "PA"} else None
                if palette is not None:
                    leaves.extend(array_leaves(f"{path}:palette", np.asarray(palette, "u1")))
                leaves.extend(array_leaves(path, np.asarray(image)))
    except RecursionError:
        raise
    except (*_FAILURES, Image.DecompressionBombError) as error:
        raise invalid(f"it can not be decoded: {error}"[:200]) from error
    return Result(format="image", leaves=tuple(leaves), container=tuple(container))
