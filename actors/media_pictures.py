"""Smaller images of images: made after the upload, when there is time."""

from __future__ import annotations

from typing import Final

from actors.contracts.media import RemoveObjects, RenderImage, VouchForAvatar
from actors.media_access import no_media
from actors.media_intake import Intake
from actors.media_types import is_image_type
from actors.records.media import MediaRecords, folder_of
from runtime.actor import Actor, handles
from runtime.context import Context, OutsideContext
from runtime.message import Grant
from runtime.policy import PATIENT

THUMBNAIL: Final = {"thumbnail": 512}
"""Name → pixels of the longer side, at most."""

AVATARS: Final = {f"avatar-{side}": side for side in (64, 128, 256)}
"""Likewise of squares. Public images have them, since each can become the picture of a person."""


class MediaPictures(Actor[MediaRecords]):
    """What the media actor makes of images."""

    _intake: Intake
    _origin: str

    @handles(outside=True, retry=PATIENT)
    async def render_image(self, command: RenderImage, ctx: OutsideContext[MediaRecords]) -> None:
        """Make the thumbnail, and of a public image the squares, unless it is gone."""
        media = await ctx.records.media(command.id)
        if media is None or media.object_key is None:
            return
        try:
            made = await self._intake.render(media.object_key, media.content_type, THUMBNAIL)
            if media.visibility == "public":
                made += await self._intake.render(media.object_key, media.content_type, AVATARS, square=True)
        except KeyError:  # removed meanwhile
            made = []
        async with ctx.finish() as records:
            if await records.holds(media.object_key):
                for rendition in made:
                    await records.add_rendition(rendition)
            else:
                ctx.tell(RemoveObjects(folders=[folder_of(media.object_key)]))

    @handles
    async def vouch_for_avatar(self, query: VouchForAvatar, ctx: Context[MediaRecords]) -> Grant:
        """Say that a file is a public image of the caller's own. Refuses `media.not_found`."""
        media = await ctx.records.media(query.media_id)
        if (
            media is None
            or media.owner_id is None
            or media.owner_id != ctx.caller.id
            or (media.visibility, media.status) != ("public", "ready")
            or not is_image_type(media.content_type)
        ):
            raise no_media()
        return ctx.vouch("avatar", media.id, f"{self._origin}/avatars/{media.id}/{max(AVATARS.values())}".encode())
