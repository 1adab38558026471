"""A process that checks the architectures named on its input, and answers with one line of JSON for each.

A name after "loading " is saved and loaded, class by class.
"""

import json
import os
import resource
import sys
import warnings


def main(memory_bytes: int) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    results = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever a library prints goes where it does no harm
    warnings.filterwarnings("ignore")
    import torch
    from transformers.utils import logging

    from tests.commands.matrix.checking import check
    from tests.commands.matrix.loading import check_classes

    torch.set_num_threads(1)
    logging.set_verbosity_error()
    print(json.dumps("ready"), file=results, flush=True)
    for line in sys.stdin:
        task, _, model_type = line.strip().rpartition(" ")
        found = check_classes(model_type) if task == "loading" else check(model_type).as_json()
        print(json.dumps(found), file=results, flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]))
