"""docs/performance.md, from the JSON files that performance.py leaves."""

import json
import pathlib
import re
import subprocess

NAMES = {"shipped": "models/tatoeba-deu-eng", "base": "random Transformer-base"}


# --- the machine ---


def output_of(*command):
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def first_line(text):
    return text.splitlines()[0] if text else ""


def describe_machine(root):
    lscpu = dict(line.split(":", 1) for line in output_of("lscpu").splitlines() if ":" in line)
    cpu = {k.strip(): v.strip() for k, v in lscpu.items()}
    memory = re.search(r"MemTotal:\s+(\d+)", pathlib.Path("/proc/meminfo").read_text())
    flags = cpu.get("Flags", "").split()
    wide = [f for f in ("avx2", "avx512f", "avx512_bf16", "avx512_vnni", "avx_vnni", "amx_int8") if f in flags]
    release = re.search(r'PRETTY_NAME="([^"]*)"', pathlib.Path("/etc/os-release").read_text())
    return {
        "processor": cpu.get("Model name", "?"), "processors": cpu.get("CPU(s)", "?"),
        "family": f"family {cpu.get('CPU family', '?')}, model {cpu.get('Model', '?')}",
        "caches": ", ".join(f"{k} {cpu[k + ' cache']}" for k in ("L1d", "L2", "L3") if k + " cache" in cpu),
        "instructions": ", ".join(wide), "memory": f"{int(memory[1]) / 2**20:.0f} GiB" if memory else "?",
        "system": f"{release[1] if release else '?'}, Linux {output_of('uname', '-r')}",
        "compiler": first_line(output_of("cc", "--version")),
        "kaskad": f"{first_line(output_of(str(root / 'build/kaskad'), '--version'))}, commit "
                  f"{output_of('git', '-C', str(root), 'rev-parse', '--short', 'HEAD')}",
        "onednn": output_of("dpkg-query", "-W", "-f=${Version}", "libdnnl-dev"),
    }


def machine_lines(machine, versions):
    rows = [
        ("processor", f"{machine['processor']} ({machine['family']}), {machine['processors']} processors"),
        ("caches", machine["caches"]), ("instructions", machine["instructions"]), ("memory", machine["memory"]),
        ("system", machine["system"]), ("compiler", machine["compiler"]), ("kaskad", machine["kaskad"]),
        ("oneDNN", machine["onednn"]), *versions.items(),
    ]
    lines = table(["", ""], [[a, b] for a, b in rows if b], "--")
    if machine["load"] > 0.7:
        lines += ["", f"**Other programs were running (load {machine['load']:.1f}): these figures are worth nothing.**"]
    return lines


# --- tables ---


def table(head, rows, align):
    """`align` has a letter a column: - left, > right."""
    marks = ["---:" if a == ">" else "---" for a in align]
    return ["| " + " | ".join(map(str, r)) + " |" for r in [head, marks, *rows]]


def percent(x, digits=0):
    return f"{100 * x:.{digits}f} %"


def decode_lines(document):
    limits = [[r["precision"], f"{r['step_weight_bytes'] / 1e6:.1f}", f"{r['bytes_per_second'] / 1e9:.1f}",
               f"{1e6 * r['step_weight_bytes'] / r['bytes_per_second']:.0f}", f"{r['operations_per_second'] / 1e9:.0f}"]
              for r in document["limits"]]
    rows = [[r["length"], r["batch"], r["decoder"], r["precision"], r["sentences"], r["tokens"],
             f"{r['tokens_per_second']:.0f}", f"{1e3 * r['latency']:.2f}", f"{1e3 * r['latency95']:.2f}",
             f"{r['floor']:.3f}", percent(r["floor"] / r["seconds"]), percent(r["floor"] / r["alone"])]
            for r in document["rows"]]
    return [
        "What bounds a step: reading its weights, or multiplying.", "",
        *table(["precision", "weights of a step, MB", "read at GB/s", "µs", "GFLOP/s at most"], limits, "->>>>"), "",
        *table(["sentences", "batch", "decoder", "precision", "number", "tokens", "tokens/s", "median ms", "95 % ms",
                "floor s", "reached", "alone"], rows, "->-->>>>>>>>"),
    ]


def curve_lines(document):
    lengths = list(dict.fromkeys(r["length"] for r in document["curve"]))
    rows = []
    for precision in dict.fromkeys(r["precision"] for r in document["curve"]):
        times = [r["microseconds_per_token"] for r in document["curve"] if r["precision"] == precision]
        rows.append([precision, *(f"{t:.0f}" for t in times), f"{times[-1] / times[0]:.2f}"])
    return table(["µs a token at length", *lengths, "last / first"], rows, "-" + ">" * (len(lengths) + 1))


def start_lines(document):
    rows = [[r["precision"], f"{1e3 * r['seconds']:.1f}", f"{1e3 * r['fastest']:.1f}"] for r in document["start"]]
    return table(["precision", "ms to the first line, median", "fastest"], rows, "->>")


def memory_lines(document):
    rows = [[r["precision"], f"{r['checkpoint']:.1f}", *(f"{m:.1f}" for m in r["megabytes"])] for r in document["memory"]]
    count = document["memory"][0]["lines"]
    marks = len(document["memory"][0]["megabytes"])
    return [f"Resident MB after so many of {count:,} lines, batch 1.", "",
            *table(["precision", "checkpoint", *(f"{count * (i + 1) // marks:,}" for i in range(marks))], rows,
                   "->" + ">" * marks)]


def peers_lines(document):
    rows, first = [], {}
    for r in document["rows"]:
        same = first.setdefault(r["batch"], r)
        share = sum(a == b for a, b in zip(same["texts"], r["texts"])) / len(r["texts"])
        rows.append([r["batch"], r["lines"], r["system"], len(r["times"]), f"{r['seconds']:.3f}", f"{r['fastest']:.3f}–{r['slowest']:.3f}",
                     f"{r['tokens_per_second']:.0f}", f"{r['milliseconds_per_line']:.2f}", f"{r['bleu']:.2f}",
                     percent(share, 1)])
    ratios = [[c["batch"], c["system"], c["other"], f"{c['ratio']:.2f}", f"{c['least']:.2f}–{c['most']:.2f}",
               percent(c["same"], 1)] for c in document["comparisons"]]
    s = document["settings"]
    return [
        f"Beam {s['beam']}, {s['threads']} threads, median of {s['repeats']} turns; one turn for what is slow or far behind "
        "another variant of the same program.", "",
        *table(["batch", "kaskad", "beside the best of another", "times as fast", "in the turns", "same lines"], ratios,
               ">-->>>"), "",
        *table(["batch", "lines", "system", "turns", "seconds", "fastest–slowest", "tokens/s", "ms/line", "BLEU",
                "same lines as first"], rows, ">>->>>>>>>"),
    ]


def chance(row):
    """The p-value; by convention it is smallest where nothing differs, which says nothing."""
    return f"{row['p_value']:.3f}" if row["difference"] else "–"


def quality_lines(document):
    rows = [[r["precision"], f"{r['system']['score']:.2f}", f"{r['baseline']['score']:.2f}", f"{r['difference']:+.2f}",
             f"{r['low']:+.2f} to {r['high']:+.2f}", chance(r), percent(r["same"], 1)] for r in document["rows"]]
    return [f"BLEU on {document['lines']:,} lines, beam search as the model says; paired bootstrap, 1,000 resamples.", "",
            *table(["precision", "BLEU", "f32", "difference", "95 % of resamples", "p", "same lines"], rows, "->>>>>>")]


# --- at a glance ---


def ratio_goals(results):
    goals = [("kaskad-int8", "ct2", {1: 1.5, 32: 1.3, 128: 1.15}), ("kaskad-f32", "ct2", {1: 1.3, 32: 1.3}),
             ("kaskad-bf16", "ct2", {1: 1.8, 32: 1.8}), ("kaskad-int8", "marian", {}), ("kaskad-f32", "marian", {}),
             ("kaskad-f32", "transformers", {})]
    for name in NAMES:
        for ours, other, least in goals:
            for c in results.get(f"peers-{name}", {}).get("comparisons", []):
                if c["system"] != ours or not c["other"].startswith(other):
                    continue
                goal = least.get(c["batch"])
                yield [f"{NAMES[name]}: {ours} ÷ {c['other']}, batch {c['batch']}", f"{c['ratio']:.2f} ×",
                       f"≥ {goal} ×" if goal else ""]


def decode_goals(results):
    base = results.get("decode-base", {"rows": []})
    for r in base["rows"]:
        if r["decoder"] == "greedy" and r["precision"] == "int8" and r["batch"] in (1, 128):
            yield [f"{NAMES['base']}: share of the floor, greedy, int8, batch {r['batch']}",
                   percent(r["floor"] / r["seconds"]), "≥ 60 %"]
    shipped = results.get("decode-shipped")
    if not shipped:
        return
    for precision in dict.fromkeys(r["precision"] for r in shipped["curve"]):
        times = [r for r in shipped["curve"] if r["precision"] == precision]
        yield [f"{precision}: time per token at length {times[-1]['length']} ÷ {times[0]['length']}",
               f"{times[-1]['microseconds_per_token'] / times[0]['microseconds_per_token']:.2f} ×", "≤ 1.5 ×"]
    for r in shipped["start"]:
        yield [f"{r['precision']}: start to first line", f"{1e3 * r['seconds']:.0f} ms", "≤ 60 ms"]
    for r in shipped["memory"]:
        yield [f"{r['precision']}: resident memory after {r['lines']:,} lines", f"{r['megabytes'][-1]:.0f} MB",
               f"≤ {3 * r['checkpoint'] + 20:.0f} MB"]


def quality_goals(results):
    for r in results.get("quality", {}).get("rows", []):
        yield [f"{r['precision']}: BLEU against f32", f"{r['difference']:+.2f}, p = {chance(r)}",
               "≥ -0.2" if r["precision"] == "int8" else ""]


# --- the page ---


INTRODUCTION = """\
# Performance

`./dev performance` measured this and wrote it; do not edit it. How each figure comes about:

- **Decoding** (`bench/decode`): tokens/s is the median over calls that translate all sentences; `median ms` and
  `95 % ms` are the latency of a call of one batch. `floor` is the least time that the products of this work could
  take: for each the larger of its operations at the rate of a loop of nothing but multiply-and-adds, and its weights at
  the bandwidth over a buffer as large as all weights of a step. Both are measured in the same run, with as many
  threads. `reached` is the floor's share of the time of the call with all sentences, `alone` of calls of one batch.
- **Other programs** (`bench/peers`): the same weights, text, threads and beams; the systems take turns, A B C A B C;
  times go from text to text, without loading. A ratio is taken within each turn, against the best variant that the
  other program has. CTranslate2 runs with its own products and with MKL (`+mkl`), with replicas (`+inter`) and without;
  Marian with a batch a thread, in f32 and in two kinds of 8-bit products. Marian's search differs a little (`same lines`
  shows how much), so speeds are compared by tokens that came out.
- **Transformer-base** is random (`bench/peers/make_base.py`: 6+6 layers, width 512, FFN 2,048, 32,000 tokens), and never
  ends a sentence before the maximum, so its BLEU means nothing."""


def render(results_folder):
    """The page as text, from whatever has been measured."""
    results = {p.stem: json.loads(p.read_text(encoding="utf-8")) for p in sorted(pathlib.Path(results_folder).glob("*.json"))}
    if "machine" not in results:
        raise SystemExit(f"{results_folder}: nothing was measured yet")
    versions = {}
    for name in NAMES:
        versions.update(results.get(f"peers-{name}", {}).get("versions", {}))
    lines = [INTRODUCTION, "", "## Machine and versions", "", *machine_lines(results["machine"], versions), ""]
    goals = [*ratio_goals(results), *decode_goals(results), *quality_goals(results)]
    lines += ["## At a glance", "", *table(["what", "measured", "goal"], goals, "->>"), ""]
    for name, title in NAMES.items():
        decode, peers = results.get(f"decode-{name}"), results.get(f"peers-{name}")
        if peers:
            lines += [f"## Other programs: {title}", "", *peers_lines(peers), ""]
        if decode:
            lines += [f"## Decoding: {title}", "", *decode_lines(decode), ""]
            for key, part in (("curve", curve_lines), ("start", start_lines), ("memory", memory_lines)):
                lines += [*part(decode), ""] if decode[key] else []
    if "quality" in results:
        lines += ["## Quality", "", *quality_lines(results["quality"]), ""]
    lines += ["## Commands", "", "`BASE` is the random model's folder; all of it is `./dev performance`.", "", "```sh",
              "python bench/peers/make_base.py $BASE",
              *(r["command"] for r in results.values() if "command" in r), "```", ""]
    return "\n".join(lines)
