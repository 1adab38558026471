"""The command `python -m attention_core.training`: trains and measures the Storyteller."""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from attention_core.training.loop import generator_of, make_optimizers, repeated_once, train
from attention_core.training.storyteller import (
    Recipe,
    head_figures,
    held_out_losses,
    layer_weights,
    measure,
    new_model,
    report,
    split_text,
    tell,
    train_tokenizer,
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Train a small causal language model on a text, save it and print its figures."""
    parser = argparse.ArgumentParser(prog="python -m attention_core.training", description=main.__doc__)
    parser.add_argument("--text", type=Path, required=True, help="a UTF-8 file; its last twentieth is held out")
    parser.add_argument("--out", type=Path, required=True, help="folder for the model")
    parser.add_argument("--measure", action="store_true", help="train nothing, print the figures of the model in --out")
    parser.add_argument(
        "--work", type=Path, help="folder for checkpoints (OUT/checkpoints); a stopped run goes on there"
    )
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--report-every", type=int, default=50, metavar="STEPS")
    parser.add_argument("--save-every", type=int, default=250, metavar="STEPS")
    defaults = asdict(Recipe())
    for name, value in defaults.items():
        parser.add_argument("--" + name.replace("_", "-"), type=type(value), default=value, help=f"{value}")
    chosen = parser.parse_args(arguments)
    recipe = Recipe(**{name: getattr(chosen, name) for name in defaults})
    torch.set_num_threads(chosen.threads)
    from transformers import AutoTokenizer, LlamaForCausalLM
    from transformers.utils import logging

    logging.disable_progress_bar()
    seen, unseen = split_text(chosen.text.read_text(encoding="utf-8"))
    if chosen.measure:
        tokenizer = AutoTokenizer.from_pretrained(chosen.out)
        model = LlamaForCausalLM.from_pretrained(chosen.out, dtype=torch.float32)
    else:
        tokenizer = train_tokenizer(seen, recipe.d_vocab)
        model = new_model(recipe)
    ids, held_out = (torch.tensor(tokenizer.backend_tokenizer.encode(part).ids) for part in (seen, unseen))
    if not chosen.measure:
        work = chosen.work or chosen.out / "checkpoints"
        work.mkdir(parents=True, exist_ok=True)
        _run(recipe, model, ids, held_out, work, chosen.report_every, chosen.save_every)
        model.set_attn_implementation("sdpa")
        model.save_pretrained(chosen.out)
        tokenizer.save_pretrained(chosen.out)
    model.eval()
    figures = measure(model, ids, held_out, len(unseen.encode()), recipe.seed + 2)
    (chosen.out / "figures.json").write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    _say(report(figures))
    _say(tell(model, tokenizer, "Once upon a time there was", 80, recipe.seed))


def _run(
    recipe: Recipe,
    model: Any,
    ids: Int[Tensor, " position"],
    held_out: Int[Tensor, " held_out"],
    work: Path,
    report_every: int,
    save_every: int,
) -> None:
    """Train to the end, with checkpoints in `work`; go on from the newest one there."""
    model.set_attn_implementation("eager")  # on a processor, with rows this short, faster than torch's fused kernel
    optimizers = make_optimizers(
        model, matrix_rate=recipe.matrix_rate, other_rate=recipe.other_rate, weight_decay=recipe.weight_decay
    )
    newest, first, before = work / "newest.pt", 0, 0.0
    if newest.is_file():
        kept = torch.load(newest, weights_only=True)
        model.load_state_dict(kept["model"])
        for optimizer, state in zip(optimizers, kept["optimizers"], strict=True):
            optimizer.load_state_dict(state)
        first, before = kept["step"], kept["seconds"]
    n_parameters = sum(parameter.numel() for parameter in model.parameters())
    _say(f"{n_parameters:,} parameters, {len(ids):,} tokens to train on, {len(held_out):,} held out, from step {first}")
    reports = train(
        model,
        recipe.batch_at(ids),
        recipe.schedule(),
        optimizers=optimizers,
        first_step=first,
        report_every=report_every,
        autocast=True,
    )
    for now in reports:
        line: dict[str, float] = {"step": now.step, "seconds": before + now.seconds, "loss": now.loss}
        heads = head_figures(
            model, held_out[: recipe.n_tokens], recipe.d_vocab, recipe.n_tokens, recipe.seed, n_periods=4
        )
        line |= {"copied": heads.copied, "previous": heads.previous.max().item()}
        line |= {"previous_text": heads.previous_text.max().item(), "induction": heads.induction.max().item()}
        saving = now.step % save_every == 0 or now.finished
        if saving:
            line["held_out"] = held_out_losses(model, held_out[:8000], recipe.n_tokens).mean().item()
        with (work / "log.jsonl").open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(line) + "\n")
        torch.save(_map_of_pairs(model, recipe).half(), work / f"maps-{now.step:05}.pt")
        _say("  ".join(f"{name} {value:.4g}" for name, value in line.items()))
        if saving:
            state = {
                "model": model.state_dict(),
                "optimizers": [optimizer.state_dict() for optimizer in optimizers],
                "step": now.step,
                "seconds": before + now.seconds,
            }
            torch.save(state, work / "writing.pt")
            (work / "writing.pt").replace(newest)
            model.save_pretrained(work / f"step-{now.step:05}")


def _map_of_pairs(model: Any, recipe: Recipe) -> Float[Tensor, "layer head query key"]:
    """Every head on one fixed row: 16 random tokens and the same again."""
    row = repeated_once(1, 16, recipe.d_vocab, generator_of(recipe.seed + 2, 0))
    return layer_weights(model, row.tokens)[:, 0]


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
