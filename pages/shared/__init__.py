"""What the pages share: the service that computes, state, controls, components, theme."""
