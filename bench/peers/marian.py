"""A checkpoint in Hugging Face's Marian layout as Marian itself reads it: model.npz or model.bin, and vocab.json.

Marian starts a target from a zero embedding; the checkpoints here start from a token that they name. So the decoder gets
embeddings of its own from which that token's is subtracted, which makes it zero, and the constant that is then missing
from the decoder's input is folded into the first layer's biases: those of query, key and value take its products, that
of the output takes it as it is (the residual). The function stays the same. Tokens that must not come out get a bias
that no other score reaches.
"""

import json
import pathlib
import shutil
import subprocess
import sys

import numpy as np

BANNED = -1e4


def read_tensors(folder):
    from safetensors.torch import load_file

    return {k: v.float().numpy() for k, v in load_file(folder / "model.safetensors").items()}


class Writer:
    """Collects tensors under Marian's names: matrices [in, out], vectors as rows."""

    def __init__(self, tensors):
        self.tensors, self.out = tensors, {}

    def linear(self, source, name, letter):
        self.out[f"{name}_W{letter}"] = self.tensors[f"{source}.weight"].T
        self.out[f"{name}_b{letter}"] = self.tensors[f"{source}.bias"][None]

    def norm(self, source, name):
        self.out[f"{name}_ln_scale"] = self.tensors[f"{source}.weight"][None]
        self.out[f"{name}_ln_bias"] = self.tensors[f"{source}.bias"][None]

    def attention(self, source, norm, name):
        for letter, part in (("q", "q_proj"), ("k", "k_proj"), ("v", "v_proj"), ("o", "out_proj")):
            self.linear(f"{source}.{part}", name, letter)
        self.norm(norm, f"{name}_Wo")

    def layer(self, source, name, cross):
        self.attention(f"{source}.self_attn", f"{source}.self_attn_layer_norm", f"{name}_self")
        if cross:
            self.attention(f"{source}.encoder_attn", f"{source}.encoder_attn_layer_norm", f"{name}_context")
        self.linear(f"{source}.fc1", f"{name}_ffn", "1")
        self.linear(f"{source}.fc2", f"{name}_ffn", "2")
        self.norm(f"{source}.final_layer_norm", f"{name}_ffn_ffn")


def convert_tensors(config, tensors, banned):
    table = tensors["model.shared.weight"]
    width = config["d_model"]
    writer = Writer(tensors)
    for i in range(config["encoder_layers"]):
        writer.layer(f"model.encoder.layers.{i}", f"encoder_l{i + 1}", False)
    for i in range(config["decoder_layers"]):
        writer.layer(f"model.decoder.layers.{i}", f"decoder_l{i + 1}", True)
    out = writer.out
    start = table[config["decoder_start_token_id"]]
    missing = start * np.sqrt(width) if config.get("scale_embedding") else start
    for letter in "qkv":
        out[f"decoder_l1_self_b{letter}"] = out[f"decoder_l1_self_b{letter}"] + missing @ out[f"decoder_l1_self_W{letter}"]
    out["decoder_l1_self_bo"] = out["decoder_l1_self_bo"] + missing
    out["encoder_Wemb"], out["decoder_Wemb"] = table, table - start
    out["decoder_ff_logit_out_W"] = table.T
    bias = tensors.get("final_logits_bias", np.zeros((1, len(table)), np.float32)).reshape(1, -1).copy()
    bias[0, banned] = BANNED
    out["decoder_ff_logit_out_b"] = bias
    return {k: np.ascontiguousarray(v, np.float32) for k, v in out.items()}


def model_yml(config):
    return "\n".join([
        "type: transformer", "version: v1.12.0", "input-types: []", "lemma-dim-emb: 0",
        f"dim-vocabs: [{config['vocab_size']}, {config['vocab_size']}]", f"dim-emb: {config['d_model']}",
        f"enc-depth: {config['encoder_layers']}", f"dec-depth: {config['decoder_layers']}",
        f"transformer-heads: {config['decoder_attention_heads']}", f"transformer-dim-ffn: {config['decoder_ffn_dim']}",
        f"transformer-ffn-activation: {config['activation_function']}", "transformer-ffn-depth: 2",
        "transformer-decoder-autoreg: self-attention", "transformer-decoder-dim-ffn: 0",
        "transformer-decoder-ffn-depth: 0", "transformer-preprocess: ''", "transformer-postprocess: dan",
        "transformer-postprocess-emb: d", "transformer-postprocess-top: ''", "transformer-train-position-embeddings: false",
        "transformer-no-projection: false", "transformer-no-bias: false", "transformer-no-affine: false",
        "transformer-tied-layers: []", "transformer-aan-depth: 2", "transformer-dim-aan: 2048",
        "transformer-aan-activation: swish", "transformer-aan-nogate: false", "transformer-guided-alignment-layer: last",
        "transformer-pool: false", "transformer-depth-scaling: false",
        "tied-embeddings: false", "tied-embeddings-src: false", "tied-embeddings-all: false", "skip: false",
        "layer-normalization: false", "right-left: false", "ulr: false", "output-omit-bias: false",
        "max-length: 1000", "factors-combine: sum", "",
    ])


def convert(folder, cache):
    """The converted checkpoint's folder; made once, its name carries the checkpoint's age."""
    age = int((folder / "model.safetensors").stat().st_mtime)
    target = pathlib.Path(cache) / f"marian-{folder.resolve().name}-{age}"
    if (target / "model.npz").exists():
        return target
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    if config.get("normalize_before") or config.get("normalize_embedding"):
        raise SystemExit("marian.py converts models that normalise behind each layer and nowhere else")
    tensors = convert_tensors(config, read_tensors(folder), [config["pad_token_id"]])
    tensors["special:model.yml"] = np.frombuffer(model_yml(config).encode() + b"\0", np.int8)
    target.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(folder / "vocab.json", target / "vocab.json")
    np.savez(target / "unfinished.npz", **tensors)
    (target / "unfinished.npz").rename(target / "model.npz")
    return target


def quantize(target, kind):
    """model.npz with weights packed for Marian's 8-bit products (packed8avx2, intgemm8avx2, …)."""
    path = target / f"model-{kind}.bin"
    if not path.exists():
        done = subprocess.run(
            [sys.executable, "-m", "pymarian", "convert", "-f", str(target / "model.npz"), "-t", str(path),
             "--gemm-type", kind], capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"marian convert failed:\n{done.stderr}")
    return path
