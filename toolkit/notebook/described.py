"""Pictures with words for those who cannot see them."""

from __future__ import annotations

import base64
import html
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class DescribedImage:
    """A picture that a notebook and its HTML show with its description.

    IPython's own ``Image(alt=...)`` puts the words where nbconvert's template does not look, and the page
    then says that there is no description.

    Attributes:
        data: the encoded picture.
        format: how it is encoded.
        alt: what is to be seen, in words.
    """

    data: bytes
    format: Literal["jpeg", "png"]
    alt: str

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        text = base64.b64encode(self.data).decode("ascii")
        kind = f"image/{self.format}"
        shown = f'<img src="data:{kind};base64,{text}" alt="{html.escape(self.alt)}">'
        # The bare picture too: what cannot show HTML, as a PDF, takes that.
        return {"text/html": shown, kind: text, "text/plain": self.alt}
