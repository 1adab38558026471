"""Questions about attention, marked from the tensors of the learner's own text: what can be asked, what is right.

No pages and no prose of lessons; nothing here stores an answer.
"""
