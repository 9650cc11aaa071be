"""Makes a random checkpoint of Transformer-base's size for measurements of speed.

    python bench/peers/make_base.py DIR [--model models/tatoeba-deu-eng] [--seed N]

6+6 layers, width 512, FFN 2,048, 8 heads, 32,000 tokens, 60 M parameters, f32: Vaswani et al. 2017, "Attention Is All You
Need", table 3, base, in Marian's layout. The tokenizer is that of --model, its vocabulary filled up with tokens that no
text contains. The end token is made improbable, so that every output of every system runs to --max-length and all do the
same work; say `run.py --model DIR --max-length 32`. What it writes means nothing: its BLEU is 0.
"""

import argparse
import json
import pathlib
import shutil

import torch
from transformers import MarianConfig, MarianMTModel

VOCABULARY = 32000


def config_like(small):
    return MarianConfig(
        vocab_size=VOCABULARY, d_model=512, encoder_layers=6, decoder_layers=6, encoder_attention_heads=8,
        decoder_attention_heads=8, encoder_ffn_dim=2048, decoder_ffn_dim=2048, activation_function="relu",
        scale_embedding=True, max_position_embeddings=512, pad_token_id=small.pad_token_id,
        eos_token_id=small.eos_token_id, bos_token_id=small.bos_token_id, forced_eos_token_id=None,
        decoder_start_token_id=small.decoder_start_token_id,
    )


def write_tokenizer(source, folder):
    for name in ("source.spm", "target.spm", "tokenizer_config.json"):
        shutil.copyfile(source / name, folder / name)
    vocabulary = json.loads((source / "vocab.json").read_text(encoding="utf-8"))
    for i in range(len(vocabulary), VOCABULARY):
        vocabulary[f"<filler_{i}>"] = i
    (folder / "vocab.json").write_text(json.dumps(vocabulary, ensure_ascii=False), encoding="utf-8")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--model", type=pathlib.Path,
                        default=pathlib.Path(__file__).resolve().parents[2] / "models/tatoeba-deu-eng")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    torch.manual_seed(options.seed)
    config = config_like(MarianConfig.from_pretrained(options.model))
    model = MarianMTModel(config)
    model.final_logits_bias[0, config.eos_token_id] = -1000.0
    model.generation_config.bad_words_ids = [[config.pad_token_id]]
    options.folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(options.folder)
    write_tokenizer(options.model, options.folder)
    print(f"{sum(p.numel() for p in model.parameters()):,} parameters in {options.folder}")


if __name__ == "__main__":
    main()
