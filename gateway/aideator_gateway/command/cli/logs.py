"""What ``serve`` logs: for people or as JSON lines, at a level, and never with a secret."""

import json
import logging
import sys
from datetime import UTC, datetime

from aideator.protocol import Secrets
from aideator_gateway.command.cli.output import Notes
from aideator_gateway.runs.context import current
from aideator_gateway.settings import Settings

_CHATTY = ("httpx", "httpx2", "httpcore", "anthropic", "aiosqlite", "asyncio", "opentelemetry")
"""Libraries that, at the lower levels, say what goes through them: prompts among it."""


def log_as_set(settings: Settings) -> None:
    """Let all that is logged from now on go to standard error, as the settings say."""
    log = logging.StreamHandler(sys.stderr)
    is_json = settings.log_format == "json"
    log.setFormatter((JsonLines if is_json else TextLines)(settings.unsaid))
    logging.basicConfig(level=settings.log_level.upper(), handlers=[log])
    for chatty in _CHATTY:
        # Not lower than what was asked for in all.
        level = max(logging.WARNING, logging.getLogger().level)
        logging.getLogger(chatty).setLevel(level)


class TextLines(Notes):
    """A line a record, for people.

    Parameters
    ----------
    secrets
        What no record says.
    """

    def __init__(self, secrets: Secrets) -> None:
        super().__init__("%(levelname)s: %(message)s")
        self._secrets = secrets

    def format(self, record: logging.LogRecord) -> str:
        """Return a record as text."""
        return self._secrets.hidden_in(super().format(record))


class JsonLines(logging.Formatter):
    """A line of JSON a record, in ASCII: no terminal is commanded by it.

    Parameters
    ----------
    secrets
        What no record says.
    """

    def __init__(self, secrets: Secrets) -> None:
        super().__init__()
        self._secrets = secrets

    def format(self, record: logging.LogRecord) -> str:
        """Return a record as an object of JSON."""
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        said: dict[str, object] = {
            "time": time.replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if work := current():
            said["run_id"] = work.run_id
            if work.variation_id is not None:
                said["variation_id"] = work.variation_id
        if record.exc_info:
            said["exception"] = self.formatException(record.exc_info)
        # Before it is JSON, in which a key might be spelled in another way.
        return json.dumps(
            {
                name: self._secrets.hidden_in(value) if isinstance(value, str) else value
                for name, value in said.items()
            }
        )
