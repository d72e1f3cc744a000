"""Numbers of attention maps and of channels: tensor in, numbers out (definitions in each module)."""
