"""Runs kaskad beside CTranslate2 and transformers: the same weights, the same text, the same machine.

    python bench/peers/run.py [--systems A,B,...] [--lines N] [--repeats N] [--batch-sizes 1,32] [--json FILE]

Each system is a process of its own that loads the model and then waits. For every batch size the systems take turns,
A B C A B C ..., so that a machine that slows down slows all of them; the table gives medians. What is timed is said in
systems.py, which also lists the systems. BLEU is sacreBLEU's of the output; the columns after it are a check that all
do the same work.
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
    parser.add_argument("--lines", type=int, default=200)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--batch-sizes", default="1,32")
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


def default_systems(kaskad):
    names = ["ct2-f32", "ct2-f32+mkl", "ct2-f32+inter", "ct2-int8", "transformers"]
    if "avx512f" in flags():
        names[2:2] = ["ct2-f32+mkl+avx512"]
        names[-1:-1] = ["ct2-int8+mkl+avx512"]
    return (["kaskad-f32"] if os.access(kaskad, os.X_OK) else []) + names


class Worker:
    """One system in its own process; answers a request a line."""

    def __init__(self, name, options):
        command = [sys.executable, __file__, "--worker", name]
        for key in ("model", "text", "kaskad", "lines", "beam", "threads", "max_length", "cache"):
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

    def ask(self, batch):
        self.process.stdin.write(f"{batch}\n")
        self.process.stdin.flush()
        return self.read()

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def read_text(path, count):
    pairs = [line.split("\t") for line in pathlib.Path(path).read_text(encoding="utf-8").splitlines()]
    if len(pairs) < 32:
        raise SystemExit(f"{path}: at least 32 lines are needed")
    return pairs[:count], [p[0] for p in pairs[-32:]]


def work(options):
    pairs, warm = read_text(options.text, options.lines)
    system = systems.make(options.worker, {**vars(options), "warm": warm})
    answers, sys.stdout = sys.stdout, sys.stderr
    print("{}", file=answers, flush=True)
    for request in sys.stdin:
        seconds, texts = system.translate([p[0] for p in pairs], int(request))
        print(json.dumps({"seconds": seconds, "texts": texts}), file=answers, flush=True)


def measure(workers, batch, repeats):
    """{name: [answers]}; the first round is a rehearsal."""
    found = {w.name: [] for w in workers}
    for turn in range(repeats + 1):
        for worker in workers:
            time.sleep(0.3)  # lets the threads of the one before fall asleep
            answer = worker.ask(batch)
            if turn:
                found[worker.name].append(answer)
    return found


def row(name, answers, batch, references, count_tokens):
    import sacrebleu

    times = sorted(a["seconds"] for a in answers)
    texts = answers[-1]["texts"]
    tokens = count_tokens(texts)
    middle = statistics.median(times)
    return {
        "system": name, "batch": batch, "seconds": middle, "fastest": times[0], "slowest": times[-1], "times": times,
        "tokens_per_second": tokens / middle, "tokens": tokens, "milliseconds_per_line": 1000 * middle / len(texts),
        "bleu": sacrebleu.corpus_bleu(texts, [references]).score, "texts": texts,
    }


def table(rows, options):
    print(f"\n{options.lines} lines of {pathlib.Path(options.text).name}, {pathlib.Path(options.model).name}, "
          f"beam {options.beam}, {options.threads} threads, median of {options.repeats}; {processor()}\n")
    print("| batch | system | seconds | fastest–slowest | tokens/s | ms/line | × first | BLEU | tokens | same as first |")
    print("| ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for r in rows:
        first = next(q for q in rows if q["batch"] == r["batch"])
        same = sum(a == b for a, b in zip(first["texts"], r["texts"]))
        print(f"| {r['batch']} | {r['system']} | {r['seconds']:.3f} | {r['fastest']:.3f}–{r['slowest']:.3f} | "
              f"{r['tokens_per_second']:.0f} | {r['milliseconds_per_line']:.2f} | "
              f"{r['seconds'] / first['seconds']:.2f} | {r['bleu']:.2f} | {r['tokens']} | {same} |")


def processor():
    try:
        for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.machine()


def main():
    options = arguments()
    if options.worker:
        return work(options)
    import sentencepiece

    names = options.systems.split(",") if options.systems else default_systems(options.kaskad)
    pathlib.Path(options.cache).mkdir(parents=True, exist_ok=True)
    pairs, _ = read_text(options.text, options.lines)
    options.lines = len(pairs)
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(pathlib.Path(options.model) / "target.spm"))
    workers = [Worker(name, options) for name in names]
    rows = []
    for batch in map(int, options.batch_sizes.split(",")):
        for name, answers in measure(workers, batch, options.repeats).items():
            rows.append(row(name, answers, batch, [p[1] for p in pairs],
                            lambda texts: sum(len(p) + 1 for p in pieces.encode(texts))))
    for worker in workers:
        worker.close()
    table(rows, options)
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps(rows, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
