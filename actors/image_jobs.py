"""What the media actor and the process that decodes its images say to each other, in lines of JSON."""

from __future__ import annotations

import msgspec


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """One image to be made of another.

    :param source: path of what was uploaded. :param target: path of what is written.
    :param kind: what the source's content says it is: `image/jpeg` and its like.
    :param side: None: the same image, encoded anew. Else a WebP whose longer side has at most so many pixels.
    :param square: it is cut to a square first, and has exactly that side.
    """

    source: str
    target: str
    kind: str
    side: int | None = None
    square: bool = False


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a job: the size of what was written, in pixels, or what is wrong with the image."""

    width: int = 0
    height: int = 0
    fault: str | None = None
