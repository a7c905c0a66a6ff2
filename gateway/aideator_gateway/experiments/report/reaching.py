"""Whether an experiment reaches its thresholds."""

from collections.abc import Iterator

from aideator_gateway.experiments.plan import Plan
from aideator_gateway.experiments.report.comparing import comparisons_of
from aideator_gateway.experiments.report.model import Report
from aideator_gateway.experiments.report.words import percent
from aideator_gateway.experiments.thresholds import Thresholds


def not_reached(plan: Plan, report: Report, thresholds: Thresholds) -> Iterator[str]:
    """Give what is not reached, each as a sentence.

    A pass rate is taken as it was seen. A condition is worse than another one where it passes
    fewer beyond chance, as in the report; all conditions that are compared for this are
    corrected for together.
    """
    for condition in report.conditions:
        least = thresholds.least.get(condition.name)
        if least is None:
            continue
        if condition.pass_rate is None:
            yield f"{condition.name}: no attempt was checked, and {percent(least)} were to pass."
        elif condition.pass_rate.value < least - 1e-9:
            yield (
                f"{condition.name}: {condition.passed} of {condition.checked} attempts pass, "
                f"which is less than {100 * least:g} %."
            )
    pairs = [
        (name, other) for name in thresholds.no_worse_than for other in plan.names if other != name
    ]
    for one in comparisons_of(plan, report.attempts, pairs) if pairs else ():
        if one.verdict == "fewer":
            yield f"Worse than {one.first}: {one.sentence}"
