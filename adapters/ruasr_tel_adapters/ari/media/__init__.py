"""How the audio of a side gets from Asterisk to us, by what externalMedia can be asked for."""

from ruasr_tel.metrics import Metrics
from ruasr_tel_adapters.ari.config import AriConfig
from ruasr_tel_adapters.ari.media.audiosocket import AudioSocketMedia
from ruasr_tel_adapters.ari.media.line import Line, Media, Strange
from ruasr_tel_adapters.ari.media.rtp import RtpMedia
from ruasr_tel_adapters.ari.media.websocket import CalledMedia, CallingMedia

__all__ = ["Line", "Media", "create_media"]


def create_media(config: AriConfig, strange: Strange, metrics: Metrics) -> Media:
    """Return what the configuration asks for.

    Args:
        config: the door's section.
        strange: told of connections that belong to no call.
        metrics: counts.
    """
    match config.encapsulation:
        case "rtp":
            return RtpMedia(config)
        case "audiosocket":
            return AudioSocketMedia(config, strange)
        case "websocket" if config.websocket_client is None:
            return CallingMedia(config)
    return CalledMedia(config, strange, metrics)
