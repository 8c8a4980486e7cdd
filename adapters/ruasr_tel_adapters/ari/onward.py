"""Sends channels on in the dialplan, each until Asterisk has done it.

A channel waits in a Stasis application until it is told to go on, or hangs up. Nothing else ends
its wait, not even that the application is gone (asterisk res/res_stasis.c, stasis_app_exec).
"""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import structlog

from ruasr_tel_adapters.ari.rest import Ari, AriAway, AriRefused

AGAIN_S: Final = 2.0
"""Seconds between two tries."""


@dataclass(eq=False, slots=True)
class _Order:
    """A channel that is to go on, with variables; `failed` is one that Asterisk did not take."""

    channel_id: str
    variables: Mapping[str, str]
    failed: bool = False


class Onward:
    """The channels that are to go on.

    Args:
        ari: Asterisk.
    """

    def __init__(self, ari: Ari) -> None:
        self._ari = ari
        self._orders: dict[str, _Order] = {}

    async def send(self, channel_id: str, variables: Mapping[str, str]) -> None:
        """Set variables of a channel and send it on; what fails is for `keep_trying`."""
        order = self._orders[channel_id] = _Order(channel_id, variables)
        await self._try(order)
        if order.failed:
            structlog.get_logger(__name__).warning(
                "ari does not send a channel on; it is tried again", pbx_channel=channel_id
            )

    def forget(self, channel_id: str) -> None:
        """Let a channel be: it went on, it is gone, or it entered anew."""
        self._orders.pop(channel_id, None)

    async def keep_trying(self) -> None:
        """Send on those that Asterisk did not take; never returns."""
        while True:
            failed = [order for order in self._orders.values() if order.failed]
            await asyncio.gather(*map(self._try, failed))
            await asyncio.sleep(AGAIN_S)

    async def _try(self, order: _Order) -> None:
        try:
            for name, value in order.variables.items():
                with suppress(AriRefused):  # `continue` tells why: none waits for a variable
                    await self._ari.request(
                        "POST", "channels", order.channel_id, "variable", variable=name, value=value
                    )
            await self._ari.request("POST", "channels", order.channel_id, "continue")
        except AriAway:
            order.failed = True
            return
        except AriRefused as error:  # 404: it hung up; 409: it is in the dialplan
            order.failed = error.status >= 500
            if order.failed:
                return
        if self._orders.get(order.channel_id) is order:
            del self._orders[order.channel_id]
