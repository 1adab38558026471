"""An experiment as a program: it runs as it stands where `attention_core` can be imported."""

import json

from pages.shared.experiment.book import DRAWS, Asked


def script(asked: Asked) -> str:
    """Python that makes the numbers of an experiment again, with what chance does beside them."""
    source, of = asked.source, json.loads(asked.of)
    question = json.loads(asked.question) if asked.question else None
    texts = {
        "pair": source.pair,
        "target": source.target,
        "source_language": source.source_language,
        "target_language": source.target_language,
        "chat": source.chat,
    }
    given = "".join(f", {name}={value!r}" for name, value in texts.items() if value)
    begin = [
        f"model = load_model({source.model!r})",
        f"text = {source.text!r}",
        f"question = question_from_plain({question!r})"
        if question
        else "question = None  # the usual one of the model",
    ]
    imports = ["from attention_core.experiment.question import question_from_plain"] if question else []
    if asked.kind == "sweep":
        lines = [
            '"""Many edits of a run, one at a time: what each does to the answer, beside what chance does."""',
            "",
            "from attention_core import load_model, sweep",
            *imports,
            "from attention_core.experiment.what import what_from_plain",
            "",
            *begin,
            f"what = what_from_plain({of!r})",
            f"swept = sweep(model, text, what, question, draws={DRAWS}{given})",
            "",
            "for i in swept.ranked[:10]:",
            '    print("; ".join(edit.words for edit in swept.variants[i]))',
            '    print("   ", swept.says(i))',
        ]
    else:
        lines = [
            '"""Edits of a run: what they do to the answer, beside what chance does."""',
            "",
            "from attention_core import effect, load_model",
            "from attention_core.experiment.edits import edit_from_plain",
            *imports,
            "",
            *begin,
            f"edits = [edit_from_plain(edit) for edit in {of!r}]",
            f"found = effect(model, text, edits, question, draws={DRAWS}{given})",
            "",
            "print(found.says)",
        ]
    return "\n".join(lines) + "\n"
