"""Many calls at once: is anything lost, how soon do finals come, what does a call cost?"""

from tests.bench import report
from tests.bench.load import Plan, Run, run
from tests.bench.verdict import judge

IDLE_S = 60.0
"""Length of the single call on the idle machine: about seven phrases."""
SPLIT_S = 20.0
"""Length of the run in which functions are timed."""


def calls(count: int, seconds: float, seed: int) -> bool:
    """Run one call alone, then `count` at once, then those again with timed functions.

    Returns:
        whether nothing was lost in any of them.
    """
    report.head("one call on an idle machine")
    alone = _one(Plan(1, IDLE_S, seed))
    report.head(f"{count} calls at once")
    plan = Plan(count, seconds, seed)
    found, true = _run(plan)
    report.head(f"{count} calls at once, functions timed")
    timed_plan = Plan(count, min(seconds, SPLIT_S), seed, wrap=True)
    timed_found, timed = _run(timed_plan)
    cost(true, timed)
    return alone and found and timed_found


def cost(true: Run, timed: Run) -> None:
    """Print the CPU of a run, with the split that another one measured."""
    taken, split_s = true.taken, timed.taken.split_s
    assert split_s is not None
    scale = taken.loop_s / true.audio_s / (timed.taken.loop_s / timed.audio_s)
    made = report.table("CPU in ms per call and second of audio", "true", "timed")
    made.add_row("engine", _ms(true, taken.engine_s), _ms(timed, timed.taken.engine_s))
    made.add_row("VAD (its thread)", _ms(true, taken.vad_s), _ms(timed, timed.taken.vad_s))
    made.add_row("  scoring alone", _ms(true, taken.scoring_s), _ms(timed, timed.taken.scoring_s))
    made.add_row("everything else", _ms(true, taken.rest_s), _ms(timed, timed.taken.rest_s))
    made.add_row("  event loop", _ms(true, taken.loop_s), _ms(timed, timed.taken.loop_s))
    for kind, spent_s in split_s.items():
        share = f"{timed.per_call(spent_s) * scale:.2f}"
        made.add_row(f"    {kind}", share, _ms(timed, spent_s))
    rest_s = timed.taken.loop_s - sum(split_s.values())
    share = f"{timed.per_call(rest_s) * scale:.2f}"
    made.add_row("    rest: reads, detector's ticks, jobs", share, _ms(timed, rest_s))
    other_s, timed_other_s = (each.taken.rest_s - each.taken.loop_s for each in (true, timed))
    made.add_row("  other threads: sinks", _ms(true, other_s), _ms(timed, timed_other_s))
    phones_s, timed_phones_s = true.sent.cpu_s, timed.sent.cpu_s
    made.add_row("the phones, as a measure", _ms(true, phones_s), _ms(timed, timed_phones_s))
    report.out.print(made)
    report.out.print(f"VAD per window: {1e6 * taken.scoring_s / max(taken.windows, 1):.0f} us")


def _run(plan: Plan) -> tuple[bool, Run]:
    done = run(plan)
    found = judge(done, plan.scripts)
    sound = report.verdict(done, found)
    report.delays(
        {
            **report.final_delays(found),
            "start of speech to SpeechStarted": found.starts_s,
            "start of speech to first partial": found.first_partials_s,
        }
    )
    return sound, done


def _one(plan: Plan) -> bool:
    return _run(plan)[0]


def _ms(done: Run, cpu_s: float) -> str:
    return f"{done.per_call(cpu_s):.2f}"
