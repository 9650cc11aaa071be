"""Training steps of kaskad and of PyTorch on the same model and batches, alternated.

    python peer.py --program build/bench/bench_step --model models/tatoeba-deu-eng [--tokens 4096] [--length 20]
                   [--steps 3] [--rounds 3] [--threads 2] [--systems kaskad torch-f32 ...]

Pinned: torch 2.5.1, transformers 4.57.6, numpy 1.26 or 2.

Systems: kaskad; torch-f32, torch-bf16 (autocast), each also with +compile (torch.compile, dynamic shapes). PyTorch
trains transformers' MarianMTModel of the same config.json with random weights, dropout and label smoothing 0.1, fused
Adam; batches are padded, and glibc's allocator is told to keep freed memory. Batches are random sentences of length/2 to
3·length/2 tokens, sorted by length before they are cut, as a trainer would. Each round starts every system once, in
turn; a system warms up on the first batch (+compile: on all), then times its steps. Prints, per system, the median
over rounds of target tokens per second, with the lowest and highest, and the highest peak of resident memory.
"""

import argparse
import json
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile
import time


def draw_batches(tokens, length, vocabulary, count):
    import numpy as np

    rng = np.random.default_rng(1)

    def sentence():
        return rng.integers(4, vocabulary, length // 2 + 1 + int(rng.integers(length))).tolist()

    pairs = [(sentence(), sentence()) for _ in range(count * 2 * tokens // length + 1)]
    pairs.sort(key=lambda pair: (len(pair[1]), len(pair[0])))
    batches, filled = [[]], 0
    for pair in pairs:
        if filled + len(pair[1]) > tokens and batches[-1]:
            batches.append([])
            filled = 0
        batches[-1].append(pair)
        filled += len(pair[1])
    whole = batches[:-1] or batches
    return [whole[i * len(whole) // count] for i in range(min(count, len(whole)))]


def write_batches(batches, path):
    def line(pair):
        return "\t".join(" ".join(map(str, ids)) for ids in pair)

    path.write_text("\n\n".join("\n".join(map(line, batch)) for batch in batches) + "\n")


def read_batches(path):
    def pair(line):
        return [list(map(int, ids.split())) for ids in line.split("\t")]

    blocks = pathlib.Path(path).read_text().strip().split("\n\n")
    return [[pair(line) for line in block.split("\n")] for block in blocks]


def run_torch(model_dir, path, steps, threads, variant):
    """One round of PyTorch, in this process; prints what bench_step prints."""
    import torch
    import transformers

    torch.set_num_threads(threads)
    transformers.logging.set_verbosity_error()
    config = transformers.MarianConfig.from_pretrained(model_dir, torch_dtype="float32", use_cache=False)
    config.dropout = 0.1
    model = transformers.MarianMTModel(config).train()
    forward = torch.compile(model, dynamic=True) if "+compile" in variant else model
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-4, betas=(0.9, 0.98), eps=1e-9, fused=True)
    half = variant.startswith("torch-bf16")

    def padded(rows, value):
        width = max(map(len, rows))
        return torch.tensor([row + [value] * (width - len(row)) for row in rows])

    def step(batch):
        sources, targets = zip(*batch)
        source, target = padded(sources, config.pad_token_id), padded(targets, -100)
        start = torch.full((len(batch), 1), config.decoder_start_token_id)
        shifted = torch.cat([start, target[:, :-1].clamp(min=config.pad_token_id)], 1)
        mask = padded([[1] * len(ids) for ids in sources], 0)
        tokens = sum(map(len, targets))
        optimiser.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            logits = forward(input_ids=source, attention_mask=mask, decoder_input_ids=shifted).logits
        loss = torch.nn.functional.cross_entropy(
            logits.flatten(0, 1).float(), target.flatten(), label_smoothing=0.1, reduction="sum") / tokens
        loss.backward()
        optimiser.step()
        return tokens

    batches = read_batches(path)
    step(batches[0])
    if "+compile" in variant:
        for batch in batches:
            step(batch)
    total, best, begin = 0, 0.0, time.perf_counter()
    for i in range(steps):
        start = time.perf_counter()
        tokens = step(batches[i % len(batches)])
        best = max(best, tokens / (time.perf_counter() - start))
        total += tokens
    seconds = time.perf_counter() - begin
    print(json.dumps({"tokens_per_second": total / seconds, "best": best, "seconds_per_step": seconds / steps,
                      "mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))


def run_system(name, options, path):
    common = [str(options.model), "--batches", str(path), "--steps", str(options.steps),
              "--threads", str(options.threads)]
    if name == "kaskad":
        command, environment = [options.program, *common], {}
    else:
        command = [sys.executable, __file__, "--torch", name, "--model", *common]
        environment = {"MALLOC_MMAP_THRESHOLD_": str(1 << 32), "MALLOC_TRIM_THRESHOLD_": str(1 << 36),
                       "OMP_NUM_THREADS": str(options.threads)}
    done = subprocess.run(command, env=os.environ | environment, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.strip().splitlines()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default="build/bench/bench_step")
    parser.add_argument("--model", default="models/tatoeba-deu-eng")
    parser.add_argument("--tokens", type=int, default=4096)
    parser.add_argument("--length", type=int, default=20)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--systems", nargs="+", default=["kaskad", "torch-f32", "torch-bf16"])
    parser.add_argument("--torch", help=argparse.SUPPRESS)
    parser.add_argument("--batches", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.torch:
        return run_torch(options.model, options.batches, options.steps, options.threads, options.torch)
    vocabulary = json.loads((pathlib.Path(options.model) / "config.json").read_text())["vocab_size"]
    results = {name: [] for name in options.systems}
    with tempfile.TemporaryDirectory() as directory:
        path = pathlib.Path(directory) / "batches"
        write_batches(draw_batches(options.tokens, options.length, vocabulary, options.steps), path)
        for _ in range(options.rounds):
            for name in options.systems:
                results[name].append(run_system(name, options, path))
    print(f"{'system':20} {'tokens/s':>9} {'low':>9} {'high':>9} {'MiB':>7}")
    for name, rounds in results.items():
        rates = [round_["tokens_per_second"] for round_ in rounds]
        print(f"{name:20} {statistics.median(rates):9.0f} {min(rates):9.0f} {max(rates):9.0f} "
              f"{max(round_['mib'] for round_ in rounds):7.0f}")


if __name__ == "__main__":
    main()
