"""What partials cost: with and without them in turn, so that both see the same machine."""

import statistics
from collections.abc import Mapping, Sequence

from tests.bench import report
from tests.bench.load import Plan, Run, run
from tests.bench.verdict import Verdict, judge

OFF = ("profiles.default.partials.enabled=false",)
ROUNDS = 2


def partials(count: int, seconds: float, seed: int) -> bool:
    """Run `count` calls with partials, without, with, without; return whether nothing was lost."""
    report.head(f"{count} calls with partials and without, in turn")
    pairs: dict[str, list[tuple[Run, Verdict]]] = {"with": [], "without": []}
    for _ in range(ROUNDS):
        for name, settings in (("with", ()), ("without", OFF)):
            plan = Plan(count, seconds, seed, settings=settings)
            done = run(plan)
            pairs[name].append((done, judge(done, plan.scripts)))
    made = report.table(
        "",
        "partials per s of speech",
        "refused",
        "slots' time %",
        "engine ms",
        "rest ms",
        "phones ms",
        "delay p50",
        "delay p95",
        "load",
    )
    for name, runs in pairs.items():
        for done, found in runs:
            made.add_row(name, *_row(done, found))
    report.out.print(made)
    _ratios(pairs)
    faults = [fault for runs in pairs.values() for _, found in runs for fault in found.faults]
    for fault in faults[:20]:
        report.out.print(f"  {fault}", markup=False)
    return not faults


def _row(done: Run, found: Verdict) -> list[str]:
    taken = done.taken
    return [
        f"{found.partials / found.speech_s:.2f}",
        str(taken.partials_refused),
        f"{100 * taken.partials_s / (taken.slots * done.sent.wall_s):.0f}",
        f"{done.per_call(taken.engine_s):.1f}",
        f"{done.per_call(taken.rest_s):.2f}",
        f"{done.per_call(done.sent.cpu_s):.2f}",
        f"{report.percentile(found.delays_s, 0.5):.3f}",
        f"{report.percentile(found.delays_s, 0.95):.3f}",
        f"{done.load[0]:.1f}",
    ]


def _ratios(pairs: dict[str, list[tuple[Run, Verdict]]]) -> None:
    def ratio(values: Mapping[str, Sequence[float]]) -> str:
        return f"{statistics.mean(values['with']) / statistics.mean(values['without']):.2f}"

    engine = {name: [run.per_call(run.taken.engine_s) for run, _ in pairs[name]] for name in pairs}
    # The phones do the same in every run: what they took measures the machine.
    rest = {name: [run.taken.rest_s / run.sent.cpu_s for run, _ in pairs[name]] for name in pairs}
    p95 = {
        name: [report.percentile(found.delays_s, 0.95) for _, found in pairs[name]]
        for name in pairs
    }
    report.out.print(
        f"with to without: engine {ratio(engine)}, rest {ratio(rest)}, p95 delay {ratio(p95)}"
    )
