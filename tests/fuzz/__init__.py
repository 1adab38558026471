"""Whatever comes from outside, made up at random: no crash, no hang, nothing but plain sentences.

`make test` tries the same few hundred inputs every time, in about a minute; `make fuzz SECONDS=600` tries new ones for
so long. An input that breaks something is printed by hypothesis in its smallest form: it becomes a test by name.
"""
