"""Changes while calls run: another model, another configuration; on an error nothing changes."""

import asyncio
from collections.abc import Callable

import structlog

from ruasr_tel.app_models import ModelLoader, find_catalog, wanted, with_model
from ruasr_tel.config import Config, Loaded
from ruasr_tel.errors import RuasrError
from ruasr_tel.profile import Profile
from ruasr_tel.recognisers import Recognisers

TAKEN_OVER = frozenset({"engine", "profiles"})
"""Sections that a running server takes over; the others need a restart."""

_log = structlog.get_logger(__name__)


class Reload:
    """Changes a running server, one change after the other.

    Args:
        config: what it runs with.
        recognisers: its models.
        profiles: those that new calls get; changed in place.
    """

    def __init__(
        self, config: Config, recognisers: Recognisers, profiles: dict[str, Profile]
    ) -> None:
        self._config = config
        self._recognisers = recognisers
        self._profiles = profiles
        # Held from reading what runs to taking over what shall run: two changes at once would each
        # begin with the server as it was before the other.
        self._changing = asyncio.Lock()

    async def use(self, name: str) -> str:
        """Let a model take the new calls; return what came of it, in a sentence.

        Raises:
            ConfigError: there is no such model, or it does not run here.
            ModelLoadError: it cannot be used.
            OSError: no process can be started.
        """
        async with self._changing:
            before = self._recognisers.default
            try:
                await self._take_over(with_model(self._config, name))
            except (RuasrError, OSError) as error:
                _log.error("model not taken", model=name, reason=str(error))
                raise
            now = self._recognisers.default
        if now is before:
            return f"{now.names[0]} takes the calls already"
        keep = f"; {before.calls} calls end with {before.names[0]}" if before.calls else ""
        return (
            f"{now.names[0]} takes new calls{keep}. Until the next restart or SIGHUP: "
            f"set engine.model to {name} to keep it"
        )

    async def reread(self, read: Callable[[], Loaded]) -> None:
        """Take over the sections in TAKEN_OVER of the configuration as it is now; log the outcome.

        Args:
            read: reads it.
        """
        async with self._changing:
            try:
                loaded = await asyncio.to_thread(read)
                config = loaded.config
                taken = {key: getattr(config, key) for key in TAKEN_OVER}
                await self._take_over(self._config.model_copy(update=taken))
            except (RuasrError, OSError) as error:
                _log.error("configuration not taken over, nothing has changed", reason=str(error))
                return
            for warning in loaded.warnings:
                _log.warning(warning)
            left = [
                key
                for key in type(config).model_fields
                if key not in TAKEN_OVER and getattr(config, key) != getattr(self._config, key)
            ]
            _log.info(
                "configuration taken over",
                model=self._recognisers.default.names[0],
                needs_restart=left,
            )

    async def _take_over(self, config: Config) -> None:
        loader = ModelLoader(config, await asyncio.to_thread(find_catalog, config))
        await self._recognisers.use(wanted(config), loader)
        self._config = config
        self._profiles.clear()
        self._profiles.update(config.profiles)
        _log.info("models", default=self._recognisers.default.names[0], all=[*self._recognisers])
