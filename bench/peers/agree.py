"""Checks that other programs read a checkpoint as kaskad does: transformers, and CTranslate2 through its converter.

    python bench/peers/agree.py [--model DIR] [--text TSV] [--lines N]

Prints, for the lines of the text: how far kaskad's log-probabilities of the references (one number a line, the sum over
its tokens) are from transformers', and how many outputs are the same, greedy and with a beam of 5. CTranslate2 ends a
beam search when as many hypotheses have ended as the beam is wide, so kaskad is told to do the same beside it. Exit
status 1 when less agrees than the project asks: log-probabilities within 1e-3 of a nat per token, 99 % of the lines,
98 % for CTranslate2's beam.
"""

import argparse
import pathlib
import subprocess
import sys
import tempfile

import systems

ROOT = pathlib.Path(__file__).resolve().parents[2]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default=str(ROOT / "models/tatoeba-deu-eng"))
    parser.add_argument("--text", default=str(ROOT / "data/tatoeba-deu-eng/test.tsv"), help="source<TAB>reference lines")
    parser.add_argument("--kaskad", default=str(ROOT / "build/kaskad"))
    parser.add_argument("--lines", type=int, default=1000)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--cache", default=str(pathlib.Path.home() / ".cache/kaskad"), help="converted checkpoints")
    return parser.parse_args()


def kaskad_translates(options, lines, beam, rules=()):
    command = [options.kaskad, "translate", "-m", options.model, "--precision", "f32", "--beam", str(beam), "-q", *rules]
    output = subprocess.run(command, input="".join(f"{line}\n" for line in lines), capture_output=True, check=True, text=True)
    return output.stdout.split("\n")[:-1]


def kaskad_scores(options, sources, targets):
    with tempfile.TemporaryDirectory() as folder:
        names = [pathlib.Path(folder) / name for name in ("source", "target")]
        for name, lines in zip(names, (sources, targets)):
            name.write_text("".join(f"{line}\n" for line in lines))
        command = [options.kaskad, "score", "-m", options.model, "--precision", "f32", "-s", names[0], "-t", names[1]]
        output = subprocess.run(command, capture_output=True, check=True, text=True).stdout
    return [float(line.split()[0]) for line in output.split("\n")[:-1]]


def transformers_scores(model, sources, targets):
    """(log-probability, tokens) of each target."""
    scores = []
    for source, target in zip(sources, targets):
        inputs = model.tokenizer([source], text_target=[target], return_tensors="pt")
        with model.torch.inference_mode():
            logits = model.model(**inputs).logits.log_softmax(-1)
        labels = inputs["labels"].unsqueeze(-1)
        scores.append((float(logits.gather(-1, labels).sum()), labels.numel()))
    return scores


def same(a, b):
    return sum(x == y for x, y in zip(a, b, strict=True)) / len(a)


def main():
    options = arguments()
    pairs = [line.split("\t")[:2] for line in pathlib.Path(options.text).read_text().splitlines()[: options.lines]]
    sources, targets = [p[0] for p in pairs], [p[1] for p in pairs]
    settings = {"model": options.model, "threads": options.threads, "beam": 5, "max_length": 256, "warm": sources,
                "cache": options.cache}
    transformers = systems.make("transformers", settings)
    ours = kaskad_scores(options, sources, targets)
    theirs = transformers_scores(transformers, sources, targets)
    checks = [("log-probability per token, largest difference from transformers",
               max(abs(a - b) / n for a, (b, n) in zip(ours, theirs, strict=True)), 1e-3, False)]
    for beam, least in ((1, 0.99), (5, 0.98)):
        settings["beam"] = beam
        output = kaskad_translates(options, sources, beam)
        checks.append((f"transformers, beam {beam}, same lines", same(output, transformers.translate(sources, 32)[1]), 0.99, True))
        ct2 = systems.make("ct2-f32", settings)
        output = kaskad_translates(options, sources, beam, ("--early-stopping", "yes"))
        checks.append((f"CTranslate2, beam {beam}, same lines", same(output, ct2.translate(sources, 32)[1]), least, True))
    failed = False
    for name, value, bound, at_least in checks:
        bad = value < bound if at_least else value > bound
        failed |= bad
        print(f"{name}: {value:.6f} ({'at least' if at_least else 'at most'} {bound}){' FAILED' if bad else ''}")
    sys.exit(failed)


if __name__ == "__main__":
    main()
