// Sigmoid and SiLU.

fn sigmoid(x: f32) -> f32 { return 1.0 / (1.0 + exp(-x)); }

fn silu(x: f32) -> f32 { return x * sigmoid(x); }
