"""The systems that run.py measures. Each gives (seconds, texts, tokens) for a list of lines and a batch size.

Seconds go from text to text, tokenisation included; loading the model, and a first batch that warms the system up, are
left out. Tokens are those that came out, end tokens included. A system is named after its program and precision, with
variants behind plus signs:

    kaskad-f32, kaskad-bf16, kaskad-int8
    ct2-f32, ct2-int8       CTranslate2; +mkl sets CT2_USE_MKL=1, +avx512 (or another) CT2_FORCE_CPU_ISA=AVX512, +inter
                            gives each thread batches of its own instead of sharing one batch's work
    marian-f32, marian-int8 Marian through pymarian, batches of its own for each thread; int8 is intgemm8avx2, and
                            +packed its other 8-bit products, packed8avx2. Its beam search is its own: beams shrink as
                            hypotheses end, and a target is bounded by a multiple of its source's length
    transformers            in f32

Every system may order the lines by length before it cuts them into batches; at batch 1 each line is a call, or each
thread's next line where threads have batches of their own.
"""

import contextlib
import importlib.util
import json
import os
import pathlib
import subprocess
import threading
import time


def make(name, settings):
    """The system of that name, loaded and warm."""
    program, *variants = name.split("+")
    kinds = {"kaskad": Kaskad, "ct2": CTranslate2, "marian": Marian, "transformers": Transformers}
    kind, _, precision = program.partition("-")
    if kind not in kinds:
        raise SystemExit(f"no such system: {name}")
    return kinds[kind](precision or "f32", variants, settings)


def environment(name, threads):
    """What must be set before the system's libraries are loaded."""
    variants = name.split("+")[1:]
    per_batch = 1 if "inter" in variants else threads
    values = {"OMP_NUM_THREADS": str(per_batch), "MKL_NUM_THREADS": str(per_batch), "TOKENIZERS_PARALLELISM": "false"}
    if "mkl" in variants:
        values["CT2_USE_MKL"] = "1"
    for isa in ("generic", "avx", "avx2", "avx512"):
        if isa in variants:
            values["CT2_FORCE_CPU_ISA"] = isa.upper()
    return values


def has_marian():
    return importlib.util.find_spec("pymarian") is not None


def by_length(items, size):
    """Indices of the items in batches of like length, longest first."""
    order = sorted(range(len(items)), key=lambda i: -len(items[i]))
    return [order[i : i + size] for i in range(0, len(order), size)]


class Kaskad:
    """The program itself, waiting at a pipe; one for the batch size at hand. Its answers come line by line."""

    def __init__(self, precision, variants, settings):
        self.settings = settings
        self.command = [
            settings["kaskad"], "translate", "-m", settings["model"], "--decode", "beam",
            "--beam", str(settings["beam"]), "--threads", str(settings["threads"]), "--precision", precision,
            "--max-length", str(settings["max_length"]),
        ]
        self.batch, self.process, self.tokens = 0, None, {}

    def _count(self, lines):
        """How many tokens come out, from a run that is not timed: the program's text does not say."""
        if len(lines) not in self.tokens:
            text = "".join(line + "\n" for line in lines).encode()
            done = subprocess.run(self.command + ["--json"], input=text, capture_output=True, check=True)
            self.tokens[len(lines)] = sum(len(json.loads(line)["ids"]) for line in done.stdout.decode().splitlines())
        return self.tokens[len(lines)]

    def _start(self, batch):
        if self.process:
            self.process.stdin.close()
            self.process.wait()
        self.process = subprocess.Popen(self.command + ["--batch-size", str(batch)], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, bufsize=0)
        self.output = open(self.process.stdout.fileno(), "rb", closefd=False)
        self.batch = batch
        self._answer(self.settings["warm"])

    def _answer(self, lines):
        writer = threading.Thread(target=self._write, args=("".join(line + "\n" for line in lines).encode(),))
        writer.start()
        answers = [self.output.readline() for _ in lines]
        writer.join()
        if not all(answers):
            raise SystemExit("kaskad failed: " + " ".join(self.command))
        return answers

    def _write(self, text):
        while text:
            text = text[self.process.stdin.write(text):]

    def translate(self, lines, batch):
        if batch != self.batch:
            self._start(batch)
        tokens = self._count(lines)
        start = time.perf_counter()
        answers = self._answer(lines)
        seconds = time.perf_counter() - start
        return seconds, [a.decode().rstrip("\n") for a in answers], tokens


class Transformers:
    def __init__(self, precision, variants, settings):
        import torch
        import transformers

        if precision != "f32":
            raise SystemExit("transformers runs in f32 here")
        transformers.logging.set_verbosity_error()
        torch.set_num_threads(settings["threads"])
        self.torch, self.settings = torch, settings
        self.tokenizer = transformers.MarianTokenizer.from_pretrained(settings["model"])
        self.model = transformers.MarianMTModel.from_pretrained(settings["model"], torch_dtype=torch.float32).eval()
        self.translate(settings["warm"][:4], 4)

    def translate(self, lines, batch):
        texts, tokens = [""] * len(lines), 0
        start = time.perf_counter()
        for some in by_length(lines, batch):
            inputs = self.tokenizer([lines[i] for i in some], return_tensors="pt", padding=True)
            with self.torch.inference_mode():
                out = self.model.generate(
                    **inputs, num_beams=self.settings["beam"], max_length=self.settings["max_length"]
                )
            for i, text in zip(some, self.tokenizer.batch_decode(out, skip_special_tokens=True)):
                texts[i] = text
            tokens += int((out[:, 1:] != self.model.config.pad_token_id).sum())
        return time.perf_counter() - start, texts, tokens


class CTranslate2:
    def __init__(self, precision, variants, settings):
        import ctranslate2
        import sentencepiece

        model = pathlib.Path(settings["model"])
        between = settings["threads"] if "inter" in variants else 1
        self.settings, self.between = settings, between
        self.source = sentencepiece.SentencePieceProcessor(model_file=str(model / "source.spm"))
        self.target = sentencepiece.SentencePieceProcessor(model_file=str(model / "target.spm"))
        self.translator = ctranslate2.Translator(
            convert(model, settings["cache"]), device="cpu", inter_threads=between,
            intra_threads=settings["threads"] // between,
            compute_type={"f32": "float32", "int8": "int8"}[precision],
        )
        self.translate(settings["warm"][:4], 4)

    def translate(self, lines, batch):
        options = dict(
            beam_size=self.settings["beam"], max_batch_size=batch, max_decoding_length=self.settings["max_length"] - 1,
            length_penalty=1, suppress_sequences=[["<pad>"]], max_input_length=0,
        )
        start = time.perf_counter()
        pieces = [p + ["</s>"] for p in self.source.encode(lines, out_type=str)]
        if batch == 1 and self.between == 1:
            results = [self.translator.translate_batch([p], **options)[0] for p in pieces]
        else:
            results = self.translator.translate_batch(pieces, **options)
        texts = [self.target.decode_pieces(r.hypotheses[0]) for r in results]
        seconds = time.perf_counter() - start
        ends = sum(len(r.hypotheses[0]) < self.settings["max_length"] - 1 for r in results)
        return seconds, texts, sum(len(r.hypotheses[0]) for r in results) + ends


class Marian:
    """The size of a batch is set when a model is loaded, so there is a translator for each."""

    def __init__(self, precision, variants, settings):
        if not has_marian():
            raise SystemExit("marian: pymarian is not installed (bench/peers/requirements-marian.txt)")
        import marian
        import sentencepiece

        model = pathlib.Path(settings["model"])
        folder = marian.convert(model, settings["cache"])
        kind = "packed8avx2" if "packed" in variants else "intgemm8avx2"
        self.model = folder / "model.npz" if precision == "f32" else marian.quantize(folder, kind)
        self.vocabulary = folder / "vocab.json"
        self.settings, self.batch, self.translator = settings, 0, None
        self.source = sentencepiece.SentencePieceProcessor(model_file=str(model / "source.spm"))
        self.target = sentencepiece.SentencePieceProcessor(model_file=str(model / "target.spm"))
        self.lengths = [len(p) + 1 for p in self.source.encode(settings["warm"])]

    def _load(self, batch):
        import pymarian

        # Targets are bounded by a multiple of their source's length only.
        factor = (self.settings["max_length"] - 1) * len(self.lengths) / sum(self.lengths)
        self.translator = None  # the one before frees its memory first
        self.translator = pymarian.Translator(
            f"--models {self.model} --vocabs {self.vocabulary} {self.vocabulary} "
            f"--cpu-threads {self.settings['threads']} --beam-size {self.settings['beam']} --normalize 1 --allow-unk "
            f"--mini-batch {batch} --maxi-batch 1000 --maxi-batch-sort src --max-length 512 "
            f"--max-length-factor {factor:.2f} --workspace 512 --quiet --quiet-translation"
        )
        self.batch = batch
        self.translate(self.settings["warm"], batch)

    def translate(self, lines, batch):
        if batch != self.batch:
            self._load(batch)
        start = time.perf_counter()
        pieces = [" ".join(p) for p in self.source.encode(lines, out_type=str)]
        results = [r.split() for r in self.translator.translate(pieces)]
        texts = self.target.decode_pieces(results)
        return time.perf_counter() - start, texts, sum(len(r) + 1 for r in results)


def convert(model, cache):
    """Converts the checkpoint once; the folder's name carries its age."""
    import torch
    from ctranslate2.converters import transformers as converters

    age = int((model / "model.safetensors").stat().st_mtime)
    folder = pathlib.Path(cache) / f"ct2-{model.resolve().name}-{age}"
    if folder.exists():
        return str(folder)

    class Plain(converters.MarianMTLoader):
        """CTranslate2's own loader expects Opus-MT's layout: the pad token last, and the decoder started from zeros.
        This one starts from the token that the checkpoint names and keeps every row."""

        def get_model_spec(self, loaded):
            loaded.config.normalize_before = False
            loaded.config.normalize_embedding = False
            return converters.BartLoader.get_model_spec(self, loaded)

        def set_config(self, config, loaded, tokenizer):
            super().set_config(config, loaded, tokenizer)
            config.decoder_start_token = tokenizer.convert_ids_to_tokens(loaded.config.decoder_start_token_id)

        def set_decoder(self, spec, decoder):
            converters.BartLoader.set_decoder(self, spec, decoder)

        def get_vocabulary(self, loaded, tokenizer):
            return converters.BartLoader.get_vocabulary(self, loaded, tokenizer)

    from transformers import MarianConfig

    config = MarianConfig.from_pretrained(model)
    if config.pad_token_id != config.vocab_size - 1:
        converters._MODEL_LOADERS["MarianConfig"] = Plain()
    with contextlib.redirect_stdout(open(os.devnull, "w")), torch.no_grad():
        converters.TransformersConverter(str(model)).convert(str(folder), quantization="float32")
    return str(folder)
