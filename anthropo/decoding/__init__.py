"""Files to pixels: what a file is, what decoding may cost, and processes for decoders that may crash."""
