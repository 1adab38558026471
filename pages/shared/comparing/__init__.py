"""Compare: what B is, for one visitor, and how the two sides go to the browser.

Not here: aligning and differences (`attention_core/comparing`), drawing (`assets/js/compare`).
"""
