"""Measures everything that docs/performance.md says, and writes it.

    ./dev performance [--quick] [--parts decode,peers,quality] [--output FILE]

Runs bench/decode and bench/peers on the model that ships and on a random Transformer-base, and compares the BLEU of
precisions. What was measured stays in --results (JSON, a file a run); --render writes the page from there without
measuring. Other programs spoil the figures, so on a busy machine it only works with --busy, and the page says so.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import time

import performance_page

BENCH = pathlib.Path(__file__).resolve().parent
ROOT = BENCH.parent
SHIPPED = "models/tatoeba-deu-eng"
TEST = "data/tatoeba-deu-eng/test.tsv"
BASE_LENGTH = "32"  # of every target of the random model, start token included
PARTS = ("decode", "peers", "quality")


def arguments():
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "kaskad"
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few lines, one repeat: to see that it works")
    parser.add_argument("--parts", default=",".join(PARTS), help="what to measure anew; the rest is taken from --results")
    parser.add_argument("--models", default="shipped,base")
    parser.add_argument("--systems", help="of bench/peers, instead of all")
    parser.add_argument("--threads", default="2")
    parser.add_argument("--memory-lines", default="50000")
    parser.add_argument("--render", action="store_true", help="measure nothing")
    parser.add_argument("--busy", action="store_true", help="measure although other programs run")
    parser.add_argument("--output", default=str(ROOT / "docs/performance.md"))
    parser.add_argument("--results", default=str(cache / "performance"))
    parser.add_argument("--cache", default=str(cache))
    return parser.parse_args()


class Session:
    """Runs commands from the repository's root and remembers how a reader would type them."""

    def __init__(self, options):
        self.options, self.results, self.cache = options, pathlib.Path(options.results), pathlib.Path(options.cache)
        self.base = self.cache / "transformer-base"
        self.results.mkdir(parents=True, exist_ok=True)
        self.quick = options.quick

    def model(self, name):
        return SHIPPED if name == "shipped" else str(self.base)

    def run(self, command, **more):
        print("+", " ".join(command), file=sys.stderr, flush=True)
        return subprocess.run(command, cwd=ROOT, check=True, **more)

    def run_to_json(self, name, command):
        """Runs with --json, and puts the command as a reader would type it into what was written."""
        path = self.results / f"{name}.json"
        self.run(command + ["--json", str(path)])
        document = json.loads(path.read_text(encoding="utf-8"))
        shown = [c.replace(str(self.base), "$BASE").replace(str(ROOT) + "/", "") for c in command]
        document["command"] = " ".join(["python" if c == sys.executable else c for c in shown])
        path.write_text(json.dumps(document, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")

    def make_base(self):
        if not (self.base / "tokenizer_config.json").exists():
            self.run([sys.executable, "bench/peers/make_base.py", str(self.base)])


def measure_decode(session, name):
    command = ["build/bench/bench_decode", session.model(name), "--threads", session.options.threads]
    if name == "base":
        command += ["--lengths", "short", "--max-length", BASE_LENGTH, "--starts", "0"]
    elif not session.quick:
        command += ["--memory", session.options.memory_lines]
    if session.quick:
        command += ["--sentences", "4", "--batches", "1,8", "--repeats", "1", "--targets", "20,60", "--joined", "3"]
        command += ["--starts", "3", "--memory", "40"] if name == "shipped" else []
    session.run_to_json(f"decode-{name}", command)


def measure_peers(session, name):
    command = [sys.executable, "bench/peers/run.py", "--threads", session.options.threads]
    if name == "base":
        command += ["--model", session.model(name), "--max-length", BASE_LENGTH, "--lines", "32", "--repeats", "3"]
    if session.options.systems:
        command += ["--systems", session.options.systems]
    if session.quick:
        command += ["--lines", "32", "--repeats", "1", "--batch-sizes", "1,32"]
    session.run_to_json(f"peers-{name}", command)


def translate(lines, precision, threads):
    command = ["build/kaskad", "translate", "-m", SHIPPED, "--precision", precision, "--threads", threads, "--quiet"]
    return subprocess.run(command, cwd=ROOT, check=True, input=lines, capture_output=True).stdout


def measure_quality(session):
    """BLEU of every precision beside f32, on the whole test set, with the paired bootstrap."""
    pairs = [line.split("\t") for line in (ROOT / TEST).read_text(encoding="utf-8").splitlines()]
    pairs = pairs[:100] if session.quick else pairs
    source, reference = session.results / "source", session.results / "reference"
    source.write_text("".join(p[0] + "\n" for p in pairs), encoding="utf-8")
    reference.write_text("".join(p[1] + "\n" for p in pairs), encoding="utf-8")
    outputs = {p: translate(source.read_bytes(), p, session.options.threads) for p in ("f32", "bf16", "int8")}
    baseline = session.results / "f32"
    baseline.write_bytes(outputs["f32"])
    rows = []
    for precision in ("bf16", "int8"):
        command = ["build/kaskad", "metric", "bleu", "-r", str(reference), "--baseline", str(baseline), "--json"]
        done = subprocess.run(command, cwd=ROOT, check=True, input=outputs[precision], capture_output=True)
        same = sum(a == b for a, b in zip(outputs[precision].splitlines(), outputs["f32"].splitlines()))
        rows.append({"precision": precision, "same": same / len(pairs), **json.loads(done.stdout)})
    (session.results / "quality.json").write_text(json.dumps({"lines": len(pairs), "rows": rows}) + "\n")


def measure(session):
    parts, models = session.options.parts.split(","), session.options.models.split(",")
    unknown = set(parts) - set(PARTS)
    if unknown:
        raise SystemExit(f"--parts: {', '.join(unknown)} is none of {', '.join(PARTS)}")
    if "base" in models and {"decode", "peers"} & set(parts):
        session.make_base()
    for name in models:
        if "decode" in parts:
            measure_decode(session, name)
        if "peers" in parts:
            measure_peers(session, name)
    if "quality" in parts:
        measure_quality(session)
    machine = performance_page.describe_machine(ROOT)
    machine["load"] = session.load
    (session.results / "machine.json").write_text(json.dumps(machine, indent=1) + "\n")


def main():
    options = arguments()
    session = Session(options)
    session.load = os.getloadavg()[0]
    if not options.render:
        if session.load > 0.7 and not options.busy:
            raise SystemExit(f"the machine is busy (load {session.load:.1f}): end the other programs, wait a minute, "
                             "or say --busy")
        begin = time.time()
        measure(session)
        print(f"measured in {(time.time() - begin) / 60:.0f} minutes", file=sys.stderr)
    page = performance_page.render(session.results)
    pathlib.Path(options.output).write_text(page, encoding="utf-8")
    print(f"wrote {options.output}", file=sys.stderr)


if __name__ == "__main__":
    main()
