"""The pieces that pages are drawn with: components, controls, panels, figures, the theme.

What they show comes in as arguments or from `session` and `service`.
"""
