"""What things cost, measured side by side: `./run bench`. Numbers are reported, never asserted."""
