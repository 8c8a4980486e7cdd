"""Which form of a result a client wants (RFC 9110 12.5.1). Pure."""

from collections.abc import Collection
from typing import Final

from ruasr_tel.recordings.render import Form

_ASKED: Final = {form.media_type: form for form in Form} | {
    "text/srt": Form.SRT,  # as some clients ask for it
    "*/*": Form.JSON,
    "application/*": Form.JSON,
    "text/*": Form.TEXT,
}


def wanted(accept: str, forms: Collection[Form] = tuple(Form)) -> Form | None:
    """Return the form that an Accept header likes best of those given, None if it likes none."""
    if not accept.strip():
        return Form.JSON
    liked = [
        (quality, form)
        for media_range in accept.split(",")
        for quality, form in [_weighed(media_range)]
        if form in forms and quality > 0
    ]
    return max(liked, key=lambda each: each[0])[1] if liked else None


def _weighed(media_range: str) -> tuple[float, Form | None]:
    kind, *parameters = (part.strip().lower() for part in media_range.split(";"))
    quality = 1.0
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                quality = float(value)
            except ValueError:
                quality = 0.0
    return quality, _ASKED.get(kind)
