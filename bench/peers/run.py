"""Runs kaskad beside CTranslate2, Marian and transformers: the same weights, the same text, the same machine.

    python bench/peers/run.py [--systems A,B,...] [--lines N] [--repeats N] [--batch-sizes 1,32,128] [--json FILE]

Each system is a process of its own that loads the model and then waits. For every batch size the systems take turns,
A B C A B C ..., so that a machine that slows down slows all of them. A rehearsal comes first; a system that is slow
(--patience), or a variant that is far behind its program's best (--behind), is measured in that alone. The first table
gives medians; the second compares each of kaskad's precisions with the best variant of every other program: the median,
and the spread, of the ratios within the turns. What is timed is said in systems.py, which also lists the systems. BLEU
is sacreBLEU's of the output; the columns after it are a check that all do the same work.
"""

import argparse
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import time

import systems

ROOT = pathlib.Path(__file__).resolve().parents[2]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--systems", help="comma-separated (see systems.py)")
    parser.add_argument("--model", default=str(ROOT / "models/tatoeba-deu-eng"))
    parser.add_argument("--text", default=str(ROOT / "data/tatoeba-deu-eng/test.tsv"), help="source<TAB>reference lines")
    parser.add_argument("--kaskad", default=str(ROOT / "build/kaskad"))
    parser.add_argument("--lines", type=int, default=256, help="at least; a batch for each thread if that is more")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--patience", type=float, default=60, help="seconds from which on a turn is not repeated")
    parser.add_argument("--behind", type=float, default=1.25, help="times a program's best from which on likewise")
    parser.add_argument("--batch-sizes", default="1,32,128")
    parser.add_argument("--beam", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--max-length", type=int, default=256, help="most tokens of an output, start token included")
    parser.add_argument("--cache", default=str(pathlib.Path.home() / ".cache/kaskad"), help="converted checkpoints")
    parser.add_argument("--json", help="write every measurement there")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    return parser.parse_args()


def flags():
    try:
        return set(pathlib.Path("/proc/cpuinfo").read_text().split("flags", 1)[1].split("\n", 1)[0].split())
    except (OSError, IndexError):
        return set()


def variants_of_ctranslate2():
    """Its own choice, its MKL path, the widest instructions, each with shared batches and with replicas."""
    ways = ["", "+mkl"]
    if "avx512f" in flags():
        ways += ["+avx512", "+mkl+avx512"]
    return [f"ct2-{precision}{way}{replicas}" for precision in ("f32", "int8") for way in ways for replicas in ("", "+inter")]


def default_systems():
    names = ["kaskad-f32", "kaskad-bf16", "kaskad-int8", *variants_of_ctranslate2()]
    if systems.has_marian():
        names += ["marian-f32", "marian-int8", "marian-int8+packed"]
    else:
        print("pymarian is not installed: Marian is left out (bench/peers/requirements-marian.txt)", file=sys.stderr)
    return names + ["transformers"]


class Worker:
    """One system in its own process; answers a request a line."""

    def __init__(self, name, options):
        command = [sys.executable, __file__, "--worker", name]
        for key in ("model", "text", "kaskad", "beam", "threads", "max_length", "cache"):
            command += ["--" + key.replace("_", "-"), str(getattr(options, key))]
        self.name = name
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env={**os.environ, **systems.environment(name, options.threads)},
        )
        self.read()

    def read(self):
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.name} failed")
        return json.loads(line)

    def ask(self, batch, lines):
        self.process.stdin.write(f"{batch} {lines}\n")
        self.process.stdin.flush()
        return self.read()

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def read_text(path):
    pairs = [line.split("\t") for line in pathlib.Path(path).read_text(encoding="utf-8").splitlines()]
    if len(pairs) < 32:
        raise SystemExit(f"{path}: at least 32 lines are needed")
    return pairs, [p[0] for p in pairs[-32:]]


def work(options):
    pairs, warm = read_text(options.text)
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a library prints goes to stderr
    sys.stdout = sys.stderr
    system = systems.make(options.worker, {**vars(options), "warm": warm})
    print("{}", file=answers, flush=True)
    for request in sys.stdin:
        batch, lines = map(int, request.split())
        seconds, texts, tokens = system.translate([p[0] for p in pairs[:lines]], batch)
        print(json.dumps({"seconds": seconds, "texts": texts, "tokens": tokens}), file=answers, flush=True)


def precision_of(name):
    return name.split("+")[0].partition("-")[2] or "f32"


def program_of(name):
    return name.split("+")[0].partition("-")[0]


def group_of(name):
    return program_of(name), precision_of(name)


def retired(answers, options):
    """Names of systems that one turn is enough for; kaskad's never are."""
    best = {}
    for name, (answer,) in answers.items():
        best[group_of(name)] = min(best.get(group_of(name), answer["seconds"]), answer["seconds"])
    return {
        name for name, (answer,) in answers.items()
        if program_of(name) != "kaskad"
        and (answer["seconds"] > options.patience or answer["seconds"] > options.behind * best[group_of(name)])
    }


def measure(workers, batch, lines, options):
    """{name: [answers]}. Those of the rehearsal count only where there are no others."""
    found = {}
    for worker in workers:
        found[worker.name] = [worker.ask(batch, lines)]
    done = retired(found, options)
    for name in found.keys() - done:
        found[name].clear()
    for _ in range(options.repeats):
        for worker in workers:
            if worker.name not in done:
                time.sleep(0.3)  # lets the threads of the one before fall asleep
                found[worker.name].append(worker.ask(batch, lines))
    return found


def row(name, answers, batch, references):
    import sacrebleu

    times = [a["seconds"] for a in answers]
    texts, tokens = answers[-1]["texts"], answers[-1]["tokens"]
    middle = statistics.median(times)
    return {
        "system": name, "batch": batch, "lines": len(texts), "seconds": middle, "fastest": min(times), "slowest": max(times), "times": times,
        "tokens_per_second": tokens / middle, "tokens": tokens, "milliseconds_per_line": 1000 * middle / len(texts),
        "bleu": sacrebleu.corpus_bleu(texts, [references]).score, "texts": texts,
    }


def same_lines(a, b):
    """Share of lines that two systems translate alike."""
    return sum(x == y for x, y in zip(a["texts"], b["texts"])) / len(a["texts"])


def ratios(ours, other):
    """How many times as fast ours is, turn by turn, by tokens: some systems give more of them."""
    return [(ours["tokens"] / t) / (other["tokens"] / u) for t, u in zip(ours["times"], other["times"])]


def compare(rows):
    """Each of kaskad's precisions against the best variant of every other program in the same precision (bf16, which
    others do not have on CPUs, against f32), and bf16 and int8 against our own f32."""
    found = []
    for batch in dict.fromkeys(r["batch"] for r in rows):
        these = [r for r in rows if r["batch"] == batch]
        for ours in (r for r in these if program_of(r["system"]) == "kaskad"):
            precision = precision_of(ours["system"])
            wanted = "int8" if precision == "int8" else "f32"
            best = {}
            for r in these:
                program = program_of(r["system"])
                other = "f32" if program == "kaskad" else wanted
                if r is ours or precision_of(r["system"]) != other or (program == "kaskad" and precision == "f32"):
                    continue
                if program not in best or r["tokens_per_second"] > best[program]["tokens_per_second"]:
                    best[program] = r
            for other in best.values():
                all_ratios = ratios(ours, other)
                found.append({
                    "batch": batch, "system": ours["system"], "other": other["system"],
                    "ratio": statistics.median(all_ratios), "least": min(all_ratios), "most": max(all_ratios),
                    "same": same_lines(ours, other),
                })
    return found


def print_rows(rows):
    print("| batch | lines | system | turns | seconds | fastest–slowest | tokens/s | ms/line | BLEU | tokens | "
          "same lines as first |")
    print("| ---: | ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for r in rows:
        first = next(q for q in rows if q["batch"] == r["batch"])
        print(f"| {r['batch']} | {r['lines']} | {r['system']} | {len(r['times'])} | {r['seconds']:.3f} | {r['fastest']:.3f}–{r['slowest']:.3f} | "
              f"{r['tokens_per_second']:.0f} | {r['milliseconds_per_line']:.2f} | {r['bleu']:.2f} | {r['tokens']} | "
              f"{100 * same_lines(first, r):.1f} % |")


def print_comparisons(comparisons):
    print("| batch | kaskad | beside its best | times as fast | in the turns | same lines |")
    print("| ---: | --- | --- | ---: | ---: | ---: |")
    for c in comparisons:
        print(f"| {c['batch']} | {c['system']} | {c['other']} | {c['ratio']:.2f} | {c['least']:.2f}–{c['most']:.2f} | "
              f"{100 * c['same']:.1f} % |")


def processor():
    try:
        for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.machine()


def versions(names):
    from importlib import metadata

    packages = {"ct2": "ctranslate2", "marian": "pymarian", "transformers": "transformers"}
    wanted = [packages[p] for p in dict.fromkeys(map(program_of, names)) if p in packages]
    return {p: metadata.version(p) for p in wanted + (["torch"] if "transformers" in wanted else [])}


def main():
    options = arguments()
    if options.worker:
        return work(options)
    names = options.systems.split(",") if options.systems else default_systems()
    if any(program_of(name) == "kaskad" for name in names) and not os.access(options.kaskad, os.X_OK):
        raise SystemExit(f"{options.kaskad} is not there; build it or name another with --kaskad")
    pathlib.Path(options.cache).mkdir(parents=True, exist_ok=True)
    pairs, _ = read_text(options.text)
    workers = [Worker(name, options) for name in names]
    rows = []
    for batch in map(int, options.batch_sizes.split(",")):
        lines = min(max(options.lines, options.threads * batch), len(pairs))
        for name, answers in measure(workers, batch, lines, options).items():
            rows.append(row(name, answers, batch, [p[1] for p in pairs[:lines]]))
    for worker in workers:
        worker.close()
    comparisons = compare(rows)
    print(f"\n{pathlib.Path(options.text).name}, {pathlib.Path(options.model).name}, "
          f"beam {options.beam}, {options.threads} threads, median of {options.repeats}; {processor()}\n")
    print_rows(rows)
    print()
    print_comparisons(comparisons)
    if options.json:
        settings = {k: getattr(options, k) for k in ("repeats", "beam", "threads", "max_length")}
        document = {"model": pathlib.Path(options.model).name, "settings": settings, "processor": processor(),
                    "versions": versions(names), "rows": rows, "comparisons": comparisons}
        pathlib.Path(options.json).write_text(json.dumps(document, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
