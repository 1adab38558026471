"""Two traces side by side: which tokens belong together, and what differs between their weights and readouts.

Nothing is run here; what was captured twice is compared.
"""
