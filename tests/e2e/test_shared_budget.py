"""What one attempt left of its run's cap is its siblings'."""

from pathlib import Path

import pytest

from aideator_gateway.scripted_model.script import Reply, Text, TokenCounts, ToolUse, Wait
from aideator_gateway.scripted_model.server import Script, ScriptedModel
from tests.support.forked import serving

LOOK = ToolUse("list_files", {"path": "."})
ONE, ONE_AND_A_HALF, TWO = (TokenCounts(count, 0) for count in (500_000, 750_000, 1_000_000))
"""US dollars, at the price of the default model."""


@pytest.mark.parametrize(
    ("flags", "second"), [((), "end_turn"), (("--fixed-shares",), "limit_cost")]
)
def test_an_attempt_goes_on_with_what_a_sibling_left_over(
    shared_repository: Path, tmp_path: Path, flags: tuple[str, ...], second: str
) -> None:
    # Each may spend 3 of 9 dollars. The first leaves 2, and the others come to 3.5 after that.
    costly: list[Reply] = [[LOOK, Wait(4), TWO], [LOOK, ONE_AND_A_HALF], [Text("Done.")]]
    replies: dict[int, list[Reply]] = {1: [[Text("Done."), ONE]], 2: costly, 3: costly}
    with (
        ScriptedModel(Script(replies)) as server,
        serving(
            tmp_path / "data",
            "--backend",
            "local",
            "--allow-file",
            "--base-url",
            server.base_url,
            *flags,
        ) as gateway,
    ):
        run = gateway.finish(
            gateway.create(
                github_url=shared_repository.as_uri(),
                conditions=[{}, {}, {"limits": {"max_cost_usd": 3.0}}],
                limits={"max_run_cost_usd": 9.0},
            )
        )
    reasons = [variation["stop_reason"] for variation in run["variations"]]
    # A cap of its own stays one, whatever others leave over.
    assert reasons == ["end_turn", second, "limit_cost"]
