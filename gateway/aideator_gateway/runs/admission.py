"""Whether a new run may be taken: what the server allows, what it has left, and its ceilings."""

import shutil

from aideator.protocol import Limits, VariationLimits, provider_problem
from aideator_gateway.runs.dependencies import Dependencies
from aideator_gateway.runs.model import NewRun
from aideator_gateway.runs.problems import Problem, invalid_field
from aideator_gateway.runs.repository import check_ref, check_url

CEILINGS = {
    "max_run_cost_usd": "ceiling_run_cost_usd",
    "max_turns": "ceiling_turns",
    "max_tokens": "ceiling_tokens",
    "max_seconds": "ceiling_seconds",
    "max_retries": "ceiling_retries",
}
"""The setting that no request can set a limit above."""

RETRY_SECONDS = 60


class Admission:
    """Checks new runs before they are written.

    Parameters
    ----------
    dependencies
        What they would be worked on with.
    """

    def __init__(self, dependencies: Dependencies) -> None:
        self._settings = dependencies.settings
        self._backend = dependencies.backend
        self._spending = dependencies.spending
        dependencies.metrics.disk_free_bytes.set_function(self._free_bytes)

    @property
    def trouble(self) -> str | None:
        """Why no run is taken now, whatever it asks for."""
        if self._spending is not None and self._spending.used_up:
            return self._spending.reason
        return self._low_disk()

    async def check(self, request: NewRun) -> tuple[NewRun, Limits]:
        """Return a request as it is carried out, and its limits.

        Raises
        ------
        Problem
            If the repository may not be used, a condition names a provider that there is not, a
            check is asked for where none is run, a limit is over the server's ceiling, the day's
            cap is used up, or the disk is nearly full.
        """
        url = check_url(
            request.github_url,
            allow_hosts=self._settings.repository_hosts,
            allow_file=self._settings.allow_file,
        )
        if request.ref is not None:
            check_ref(request.ref)
        if request.check is not None and self._backend.no_checks is not None:
            raise invalid_field("check", self._backend.no_checks)
        self._check_providers(request)
        limits = self._limits(request)
        if self._spending is not None:
            await self._spending.check()
        if low := self._low_disk():
            raise Problem("disk_low", low, retry_after=RETRY_SECONDS)
        return request.model_copy(update={"github_url": url}), limits

    def _check_providers(self, request: NewRun) -> None:
        for number, condition in enumerate(request.conditions or ()):
            problem = provider_problem(condition.provider, self._settings.providers)
            if condition.provider is not None and self._settings.scripted:
                problem = "The scripted demo asks no provider: leave it out, or start without it."
            if problem:
                raise invalid_field(f"conditions.{number}.provider", problem)

    def _limits(self, request: NewRun) -> Limits:
        """Return what was asked for, with what the server has in place of what was not."""
        given = request.limits or Limits()
        self._check_ceilings("limits", given)
        for number, condition in enumerate(request.conditions or ()):
            if condition.limits is not None:
                self._check_ceilings(f"conditions.{number}.limits", condition.limits)
        usual = {**Limits().model_dump(), "max_run_cost_usd": self._settings.max_run_cost_usd}
        update = {}
        for name in usual.keys() - given.model_fields_set:
            ceiling = self._ceiling(name)
            update[name] = _lowest(usual[name], ceiling)
        return given.model_copy(update=update)

    def _check_ceilings(self, field: str, given: Limits | VariationLimits) -> None:
        for name in given.model_fields_set:
            ceiling, asked = self._ceiling(name), getattr(given, name)
            if ceiling is None or (asked is not None and asked <= ceiling):
                continue
            # Of one variation, null is what its run has; of a run, that there is no limit.
            if asked is not None or isinstance(given, Limits):
                flag = CEILINGS[name].replace("_", "-")
                raise invalid_field(
                    f"{field}.{name}",
                    f"This server's ceiling is {ceiling:g} (--{flag}): use at most that, or leave "
                    "it out.",
                )

    def _ceiling(self, name: str) -> float | None:
        setting = CEILINGS.get(name)
        ceiling: float | None = getattr(self._settings, setting) if setting else None
        return ceiling

    def _low_disk(self) -> str | None:
        free, least = self._free_bytes(), self._settings.min_free_bytes
        if free >= least:
            return None
        return (
            f"The disk of {self._settings.data_dir} has {free} bytes left, and no run is started "
            f"below {least}: make room there, or start the server with a lower --min-free-bytes."
        )

    def _free_bytes(self) -> int:
        place = self._settings.data_dir
        while not place.exists() and place != place.parent:
            place = place.parent
        return shutil.disk_usage(place).free


def _lowest(usual: float | None, ceiling: float | None) -> float | None:
    found = [value for value in (usual, ceiling) if value is not None]
    return min(found, default=None)
