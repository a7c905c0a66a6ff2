"""Where the page shows what an attempt did."""

from dataclasses import dataclass
from urllib.parse import quote


@dataclass(frozen=True)
class Links:
    """Addresses on the page of a gateway.

    Attributes
    ----------
    base
        Its URL without a slash at the end; empty on the page itself.
    """

    base: str = ""

    def patch(self, run_id: str, variation_id: int) -> str:
        """Return where an attempt's patch is shown."""
        return f"{self.base}/#/runs/{quote(run_id, safe='')}/results/{variation_id}"

    def transcript(self, run_id: str) -> str:
        """Return where the transcripts of a run are shown."""
        return f"{self.base}/#/runs/{quote(run_id, safe='')}/replay"
