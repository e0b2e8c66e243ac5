"""What the benchmarks measure, each part by itself."""
