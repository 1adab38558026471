"""What Sightline costs, measured on the machine in front of you: `make bench`."""
