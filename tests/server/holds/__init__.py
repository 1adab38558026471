"""What a visitor can make the server do or keep: bounded, counted, and in its turn."""
